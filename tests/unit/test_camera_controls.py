"""V4L2 controls. No test machine has a video device, so the kernel's side of the ioctls is simulated
(v4l2_kernel.py); the request numbers are compared with the kernel's header."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import pytest
from edgecam_core.camera import controls
from edgecam_core.camera.controls import ControlDevice, plain_name
from edgecam_core.errors import SettingError, SourceError
from v4l2_kernel import Kernel


@pytest.fixture
def device(tmp_path: Path) -> ControlDevice:
    path = tmp_path / "video0"
    path.touch()
    return ControlDevice(str(path), Kernel())


def test_controls_have_the_devices_own_ranges_and_texts(device: ControlDevice) -> None:
    with device:
        auto, exposure = device.controls()
        assert (auto.name, auto.menu) == ("auto_exposure", ((1, "Manual Mode"), (3, "Aperture Priority Mode")))
        assert auto.describe() == "Auto Exposure (1: Manual Mode, 3: Aperture Priority Mode)"
        assert (exposure.name, exposure.low, exposure.high, exposure.default) == (
            "exposure_time_absolute",
            3,
            2047,
            250,
        )
        assert device.get(exposure) == 157


def test_a_control_that_the_device_refuses_is_reported_by_name(device: ControlDevice) -> None:
    with device:
        auto, exposure = device.controls()
        with pytest.raises(SettingError, match=r"'control.exposure_time_absolute' is 9000: must be 3 to 2047"):
            device.set(exposure, 9000)
        with pytest.raises(SettingError, match=r"must be one of 1 \(Manual Mode\), 3"):
            device.set(auto, 2)
        with pytest.raises(SettingError, match=r"the device refuses it: .*Permission denied"):
            device.set(exposure, 100)
        device.set(auto, 1)
        device.set(exposure, 100)
        assert device.get(exposure) == 100


def test_a_missing_device_is_reported() -> None:
    with pytest.raises(SourceError, match="/dev/video77 cannot be opened: No such file"):
        ControlDevice("/dev/video77")


@pytest.mark.parametrize(
    ("text", "name"),
    [("Exposure Time, Absolute", "exposure_time_absolute"), ("White Balance, Automatic", "white_balance_automatic")],
)
def test_names_are_those_of_v4l2_ctl(text: str, name: str) -> None:
    assert plain_name(text) == name


def test_the_request_numbers_equal_the_kernels() -> None:
    header = Path("/usr/include/linux/videodev2.h")
    if header.exists():
        for name in ("G_CTRL", "S_CTRL", "QUERYCTRL", "QUERYMENU"):
            number = re.search(rf"#define VIDIOC_{name}\s+_IOWR\('V',\s*(\d+),", header.read_text())
            assert number
            assert getattr(controls, f"VIDIOC_{name}") & 0xFF == int(number[1])
    # sizeof the structures in C
    fields = [("id", ctypes.c_uint32), ("type", ctypes.c_uint32), ("name", ctypes.c_uint8 * 32)]
    fields += [(name, ctypes.c_int32) for name in ("minimum", "maximum", "step", "default_value")]
    fields += [("flags", ctypes.c_uint32), ("reserved", ctypes.c_uint32 * 2)]
    queryctrl = type("v4l2_queryctrl", (ctypes.Structure,), {"_fields_": fields})
    assert (controls.VIDIOC_QUERYCTRL >> 16) & 0x3FFF == ctypes.sizeof(queryctrl) == 68
    assert (controls.VIDIOC_QUERYMENU >> 16) & 0x3FFF == 44
    assert (controls.VIDIOC_G_CTRL >> 16) & 0x3FFF == 8
