"""V4L2 controls. No machine of ours has a video device, so the kernel's side of the ioctls is played here, byte by
byte as linux/videodev2.h lays the structures out; that the numbers are the kernel's is checked against its header."""

from __future__ import annotations

import ctypes
import errno
import re
import struct
from pathlib import Path

import pytest
from edgecam_core.camera import controls
from edgecam_core.camera.controls import ControlDevice, plain_name
from edgecam_core.errors import SettingError, SourceError

EXPOSURE, AUTO = 0x009A0902, 0x009A0901


class Kernel:
    """Two controls: a menu with a hole, and an integer that is refused while the menu says automatic."""

    def __init__(self) -> None:
        self.values = {AUTO: 3, EXPOSURE: 157}

    def __call__(self, fd: int, request: int, data: bytearray) -> int:
        number = request & 0xFF
        {27: self.get, 28: self.put, 36: self.query, 37: self.menu}[number](data)
        return 0

    def query(self, data: bytearray) -> None:
        (identifier,) = struct.unpack_from("=I", data)
        following = next((one for one in sorted(self.values) if one > identifier & ~0x80000000), None)
        if following is None:
            raise OSError(errno.EINVAL, "Invalid argument")
        kind, name, low, high, default = {
            AUTO: (3, b"Auto Exposure", 0, 3, 3), EXPOSURE: (1, b"Exposure Time, Absolute", 3, 2047, 250),
        }[following]  # fmt: skip
        struct.pack_into("=II32siiiiI", data, 0, following, kind, name, low, high, 1, default, 0)

    def menu(self, data: bytearray) -> None:
        _identifier, index = struct.unpack_from("=II", data)
        names = {1: b"Manual Mode", 3: b"Aperture Priority Mode"}
        if index not in names:
            raise OSError(errno.EINVAL, "Invalid argument")
        struct.pack_into("=32s", data, 8, names[index])

    def get(self, data: bytearray) -> None:
        (identifier,) = struct.unpack_from("=I", data)
        struct.pack_into("=i", data, 4, self.values[identifier])

    def put(self, data: bytearray) -> None:
        identifier, value = struct.unpack_from("=Ii", data)
        if identifier == EXPOSURE and self.values[AUTO] == 3:
            raise OSError(errno.EACCES, "Permission denied")
        self.values[identifier] = value


@pytest.fixture
def device(tmp_path: Path) -> ControlDevice:
    path = tmp_path / "video0"
    path.touch()
    return ControlDevice(str(path), Kernel())


def test_controls_come_with_the_devices_own_ranges_and_texts(device: ControlDevice) -> None:
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


def test_what_the_device_refuses_is_told_by_name(device: ControlDevice) -> None:
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


def test_a_device_that_is_away_is_told() -> None:
    with pytest.raises(SourceError, match="/dev/video77 cannot be opened: No such file"):
        ControlDevice("/dev/video77")


@pytest.mark.parametrize(
    ("text", "name"),
    [("Exposure Time, Absolute", "exposure_time_absolute"), ("White Balance, Automatic", "white_balance_automatic")],
)
def test_names_are_those_of_v4l2_ctl(text: str, name: str) -> None:
    assert plain_name(text) == name


def test_the_request_numbers_are_the_kernels() -> None:
    header = Path("/usr/include/linux/videodev2.h")
    if header.exists():
        for name in ("G_CTRL", "S_CTRL", "QUERYCTRL", "QUERYMENU"):
            number = re.search(rf"#define VIDIOC_{name}\s+_IOWR\('V',\s*(\d+),", header.read_text())
            assert number
            assert getattr(controls, f"VIDIOC_{name}") & 0xFF == int(number[1])
    # sizeof of the structures, laid out by the C rules
    fields = [("id", ctypes.c_uint32), ("type", ctypes.c_uint32), ("name", ctypes.c_uint8 * 32)]
    fields += [(name, ctypes.c_int32) for name in ("minimum", "maximum", "step", "default_value")]
    fields += [("flags", ctypes.c_uint32), ("reserved", ctypes.c_uint32 * 2)]
    queryctrl = type("v4l2_queryctrl", (ctypes.Structure,), {"_fields_": fields})
    assert (controls.VIDIOC_QUERYCTRL >> 16) & 0x3FFF == ctypes.sizeof(queryctrl) == 68
    assert (controls.VIDIOC_QUERYMENU >> 16) & 0x3FFF == 44
    assert (controls.VIDIOC_G_CTRL >> 16) & 0x3FFF == 8
