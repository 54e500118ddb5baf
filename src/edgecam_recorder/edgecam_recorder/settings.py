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

"""The settings of the recorder node: those of the recorder, and those specific to ROS."""

from __future__ import annotations

from dataclasses import dataclass

from edgecam_core.errors import SettingError
from edgecam_core.recording.settings import RecorderSettings
from edgecam_core.settings import setting

TOPICS = (
    "image_raw/compressed", "camera_info", "detections", "label_info", "vision_info", "video", "/tf", "/tf_static",
    "/diagnostics",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RecorderNodeSettings(RecorderSettings):
    """Parameters of the recorder node."""

    topics: tuple[str, ...] = setting(
        TOPICS,
        "Topics to record, as soon as they are published; * matches any text ('/*': all topics). image_raw has the "
        "uncompressed frames, video the H.265 access units of the RTP sender.",
    )
    record_at_start: bool = setting(True, "Start recording at once; false: wait for the service ~/record.")

    def check(self) -> None:
        super().check()
        if not self.topics:
            raise SettingError("topics", "[]", "must name at least one topic; '/*' records all")
