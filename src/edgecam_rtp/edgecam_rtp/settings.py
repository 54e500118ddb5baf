"""The bridge's settings plus what only its nodes need."""

from __future__ import annotations

from dataclasses import dataclass

from edgecam_core.camera.settings import CameraSettings
from edgecam_core.rtp.settings import ReceiverSettings, SenderSettings
from edgecam_core.settings import setting


@dataclass(frozen=True, kw_only=True)
class SenderNodeSettings(SenderSettings):
    image_reliability: str = setting(
        "best_effort", "Quality of service of the image subscription.", choices=("best_effort", "reliable")
    )
    source: str = setting(
        "", "Direct mode: send this camera (v4l2:///dev/video0, csi://0, file:///...) instead of an image topic; "
        "image_raw is published then, while somebody subscribes."
    )  # fmt: skip
    image_width: int = setting(-1, "Direct mode: width to ask of the camera; -1: its own.", low=-1, high=16384)
    image_height: int = setting(-1, "Direct mode: height to ask of the camera; -1: its own.", low=-1, high=16384)
    loop: bool = setting(False, "Direct mode: play a file again and again.")

    def camera(self) -> CameraSettings:
        """The settings of the camera in direct mode."""
        return CameraSettings(
            source=self.source,
            image_width=self.image_width,
            image_height=self.image_height,
            framerate=self.framerate,
            loop=self.loop,
            frame_id=self.frame_id or "camera_optical_frame",
        )


@dataclass(frozen=True, kw_only=True)
class ReceiverNodeSettings(ReceiverSettings):
    camera_name: str = setting("camera", "Name of the camera, for ${NAME} in camera_info_url.")
    camera_info_url: str = setting(
        "", "Calibration of the far camera, file:///... or package://...; empty: uncalibrated."
    )
