"""Camera settings: refusals, and requests to a device."""

from __future__ import annotations

import pytest
from edgecam_core.camera.settings import CameraSettings, fraction
from edgecam_core.errors import SettingError, UnknownSetting


@pytest.mark.parametrize(
    ("values", "reported"),
    [
        ({"framerate": -1.0}, "'framerate' is -1"),
        ({"image_width": 0}, "'image_width' is 0"),
        ({"image_height": -7}, "'image_height' is -7"),
        ({"image_encoding": "bgr9"}, "one of bgr8, rgb8"),
        ({"source": ""}, "set a source"),
        ({"image_width": 64, "crop_left": 40, "crop_right": 24}, "leave nothing"),
        ({"image_encoding": "nv12", "image_width": 64, "crop_left": 1}, "even size"),
        ({"camera_name": "front door"}, "letters, digits"),
    ],
)
def test_impossible_values_are_refused_by_name(values: dict, reported: str) -> None:
    with pytest.raises(SettingError, match=reported):
        CameraSettings(**values)


def test_the_error_for_a_mistyped_name_suggests_the_right_one() -> None:
    with pytest.raises(UnknownSetting, match="framerate"):
        CameraSettings.from_mapping({"frame_rate": 30.0})


@pytest.mark.parametrize(
    ("rate", "text"), [(30, "30/1"), (29.97, "30000/1001"), (23.976, "24000/1001"), (12.5, "25/2"), (0.5, "1/2")]
)
def test_rates_become_the_intended_fractions(rate: float, text: str) -> None:
    assert fraction(rate) == text


def test_a_turned_frame_asks_the_device_for_the_size_before_turning() -> None:
    settings = CameraSettings(image_width=480, image_height=640, framerate=15, flip_method="clockwise")
    assert settings.source_caps() == ",width=640,height=480,framerate=15/1"


def test_the_optical_frame_follows_the_camera_name() -> None:
    assert CameraSettings(camera_name="front").optical_frame == "front_optical_frame"
    assert CameraSettings(camera_name="front", frame_id="lens").optical_frame == "lens"
