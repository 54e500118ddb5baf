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

"""The settings of the detector node: those of the detector, and those specific to ROS."""

from __future__ import annotations

from dataclasses import dataclass

from edgecam_core.errors import SettingError
from edgecam_core.events.zones import parse_regions
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.settings import setting


@dataclass(frozen=True, kw_only=True)
class DetectorNodeSettings(DetectorSettings):
    """Parameters of the detector node."""

    cameras: tuple[str, ...] = setting(
        (),
        "Namespaces of several cameras that share the model: 'front' means front/image_raw and "
        "front/detections; empty: one camera, image_raw and detections.",
    )
    class_id_format: str = setting(
        "name", "Content of class_id: the label, or the class number as text.", choices=("name", "index")
    )
    image_reliability: str = setting(
        "best_effort", "QoS reliability of the image subscriptions.", choices=("best_effort", "reliable")
    )
    batch_timeout_ms: float = setting(
        2.0,
        "How long an incomplete batch waits for frames of other cameras.",
        low=0.0,
        high=1000.0,
        unit="ms",
    )

    shadow_model: str = setting(
        "",
        "A second model for comparison, given like model. It runs at the lowest priority and publishes "
        "shadow/detections. Empty: none.",
    )
    max_slowdown: float = setting(
        2.0,
        "A model that replaces the running one may take at most this many times as long per inference; 0: no limit.",
        low=0.0,
        high=1000.0,
        runtime=True,
    )

    def check(self) -> None:
        for camera in parse_regions("regions", self.regions):
            if camera and camera not in self.cameras:
                known = ", ".join(self.cameras) or "only one, without a name"
                raise SettingError("regions", f"{camera}: ...", f"there is no such camera; there is {known}")
