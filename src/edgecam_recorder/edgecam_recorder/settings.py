"""The settings of the recorder node: those of the recorder, and what only ROS knows."""

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
        "Topics to record as soon as they are published; * matches any text ('/*': all topics). image_raw has the "
        "uncompressed frames, video the H.265 access units that the RTP sender publishes.",
    )
    record_at_start: bool = setting(True, "Begin to record at once; false: wait for the service ~/record.")

    def check(self) -> None:
        super().check()
        if not self.topics:
            raise SettingError("topics", "[]", "must name a topic; '/*' records all")
