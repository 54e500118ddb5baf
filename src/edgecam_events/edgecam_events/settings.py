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

"""The settings of the events node: those of the events, and those specific to ROS."""

from __future__ import annotations

from dataclasses import dataclass

from edgecam_core.errors import SettingError
from edgecam_core.events.settings import EventsSettings
from edgecam_core.settings import setting


@dataclass(frozen=True, kw_only=True)
class EventsNodeSettings(EventsSettings):
    """Parameters of the events node."""

    cameras: tuple[str, ...] = setting(
        (),
        "Namespaces of several cameras, as for the detector: 'front' means front/detections and "
        "front/image_raw/compressed; empty: one camera.",
    )

    def check(self) -> None:
        super().check()
        for name, shapes in (("zones", self.parsed_zones()), ("lines", self.parsed_lines())):
            for shape in shapes:
                if shape.camera and shape.camera not in self.cameras:
                    known = ", ".join(self.cameras) or "only one, without a name"
                    raise SettingError(
                        name, f"{shape.camera}/{shape.name}: ...", f"there is no such camera; there is {known}"
                    )
