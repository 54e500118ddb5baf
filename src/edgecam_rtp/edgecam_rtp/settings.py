"""The bridge's settings plus what only its nodes need."""

from __future__ import annotations

from dataclasses import dataclass

from edgecam_core.rtp.settings import ReceiverSettings, SenderSettings
from edgecam_core.settings import setting


@dataclass(frozen=True, kw_only=True)
class SenderNodeSettings(SenderSettings):
    image_reliability: str = setting(
        "best_effort", "Quality of service of the image subscription.", choices=("best_effort", "reliable")
    )


@dataclass(frozen=True, kw_only=True)
class ReceiverNodeSettings(ReceiverSettings):
    camera_name: str = setting("camera", "Name of the camera, for ${NAME} in camera_info_url.")
    camera_info_url: str = setting(
        "", "Calibration of the far camera, file:///... or package://...; empty: uncalibrated."
    )
