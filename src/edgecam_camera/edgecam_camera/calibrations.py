"""Where this camera's calibration comes from."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from edgecam_core.camera import calibration
from edgecam_core.camera.calibration import Calibration
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.errors import SettingError


def path(settings: CameraSettings) -> Path:
    """The file of ``camera_info_url``. Raises SettingError for a URL that cannot be one."""
    return calibration.locate(settings.camera_info_url, settings.camera_name, get_package_share_directory)


def load(settings: CameraSettings) -> Calibration | None:
    """The calibration named by ``camera_info_url``; None when it is empty.

    Raises:
        SettingError: the file is missing or damaged, or is for a picture of another shape.
    """
    if not settings.camera_info_url:
        return None
    found = calibration.load(path(settings), settings.camera_info_url)
    width, height = settings.image_width, settings.image_height
    if width > 0 and height > 0 and not found.fits(width, height):
        raise SettingError(
            "camera_info_url",
            settings.camera_info_url,
            f"is for {found.width}x{found.height}, the picture is {width}x{height}: another shape; calibrate again",
        )
    return found
