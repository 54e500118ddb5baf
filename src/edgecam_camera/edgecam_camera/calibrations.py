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

"""Loads the camera's calibration and serves ``set_camera_info``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from edgecam_core.camera import calibration
from edgecam_core.camera.calibration import Calibration
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.errors import EdgecamError, SettingError
from rclpy.node import Node
from sensor_msgs.srv import SetCameraInfo

from edgecam_camera.publishers import InfoPublisher

_DEFAULT_URL = "file://${ROS_HOME}/camera_info/${NAME}.yaml"


def path(settings: CameraSettings) -> Path:
    """The file of ``camera_info_url``, or the default path.

    Raises:
        SettingError: the URL is invalid.
    """
    url = settings.camera_info_url or _DEFAULT_URL
    return calibration.locate(url, settings.camera_name, get_package_share_directory)


def load(settings: CameraSettings) -> Calibration | None:
    """The calibration of ``camera_info_url``; if that is empty, the calibration at the default path, or None.

    Raises:
        SettingError: the file is missing, damaged, or for another aspect ratio.
    """
    file = path(settings)
    if not settings.camera_info_url and not file.exists():
        return None
    found = calibration.load(file, settings.camera_info_url or f"file://{file}")
    width, height = settings.image_width, settings.image_height
    if width > 0 and height > 0 and not (found.fits(width, height) or found.fits(height, width)):
        raise SettingError(
            "camera_info_url",
            settings.camera_info_url or f"file://{file}",
            f"is for {found.width}x{found.height}, the frame is {width}x{height}: another aspect ratio; "
            "calibrate again",
        )
    return found


class CalibrationService:
    """``set_camera_info``: saves a calibration, e.g. from cameracalibrator, and publishes it from then on."""

    def __init__(self, node: Node, settings: Callable[[], CameraSettings], info: InfoPublisher) -> None:
        self._node = node
        self._settings = settings
        self._info = info
        self._service = node.create_service(SetCameraInfo, "set_camera_info", self._on_call)

    def close(self) -> None:
        self._node.destroy_service(self._service)

    def _on_call(self, request: SetCameraInfo.Request, response: SetCameraInfo.Response) -> SetCameraInfo.Response:
        sent, settings = request.camera_info, self._settings()
        try:
            if sent.width < 1 or sent.height < 1:
                raise SettingError("camera_info", f"{sent.width}x{sent.height}", "a calibration needs a size")
            fresh = Calibration(
                width=sent.width, height=sent.height, distortion_model=sent.distortion_model, d=tuple(sent.d),
                k=tuple(map(float, sent.k)), r=tuple(map(float, sent.r)), p=tuple(map(float, sent.p)),
                view=self._info.view if self._info.size else settings.flip_method,
            )  # fmt: skip
            size = self._info.size
            if size and not fresh.fits(*size):
                raise SettingError(
                    "camera_info",
                    f"{sent.width}x{sent.height}",
                    f"the frame is {size[0]}x{size[1]}: another aspect ratio",
                )
            file = path(settings)
            calibration.save(fresh, file, settings.camera_name)
            self._info.use(load(settings))
        except (EdgecamError, OSError) as error:
            response.success, response.status_message = False, str(error)
            return response
        response.success, response.status_message = True, f"saved in {file}"
        return response
