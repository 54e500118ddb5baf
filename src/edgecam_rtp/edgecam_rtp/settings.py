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

"""Settings of the RTP nodes: those of sender and receiver, and those that only the nodes need."""

from __future__ import annotations

from dataclasses import dataclass

from edgecam_core.rtp.settings import ReceiverSettings, SenderSettings
from edgecam_core.settings import setting


@dataclass(frozen=True, kw_only=True)
class SenderNodeSettings(SenderSettings):
    image_reliability: str = setting(
        "best_effort", "Reliability (QoS) of the image subscription.", choices=("best_effort", "reliable")
    )


@dataclass(frozen=True, kw_only=True)
class ReceiverNodeSettings(ReceiverSettings):
    camera_name: str = setting("camera", "Name of the camera, for frame_id and ${NAME} in camera_info_url.")
    frame_id: str = setting(
        "", "Optical frame of the images, unless the SDP file names one; empty: <camera_name>_optical_frame."
    )
    camera_info_url: str = setting(
        "", "Calibration of the remote camera, file:///... or package://...; empty: uncalibrated."
    )

    @property
    def optical_frame(self) -> str:
        return self.frame_id or f"{self.camera_name}_optical_frame"
