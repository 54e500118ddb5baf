# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The settings of the collector node: those of the collector, and those specific to ROS."""

from __future__ import annotations

from dataclasses import dataclass

from edgecam_core.collect.settings import CollectorSettings
from edgecam_core.settings import setting


@dataclass(frozen=True, kw_only=True)
class CollectorNodeSettings(CollectorSettings):
    """Parameters of the collector node."""

    cameras: tuple[str, ...] = setting(
        (),
        "Namespaces of several cameras, as for the detector: 'front' means front/image_raw and "
        "front/detections; empty: one camera, image_raw and detections.",
    )
    image_reliability: str = setting(
        "best_effort", "QoS reliability of the image subscriptions.", choices=("best_effort", "reliable")
    )
