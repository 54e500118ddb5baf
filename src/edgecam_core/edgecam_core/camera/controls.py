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

"""Lists, reads and sets the controls of a V4L2 camera (exposure, gain, white balance, focus) with ioctls.

Structures and constants are from linux/videodev2.h.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edgecam_core.errors import SettingError, SourceError

_QUERYCTRL = struct.Struct("=II32siiiiI8x")  # v4l2_queryctrl
_CONTROL = struct.Struct("=Ii")  # v4l2_control
_QUERYMENU = struct.Struct("=II32s4x")  # v4l2_querymenu
_NEXT = 0x80000000  # V4L2_CTRL_FLAG_NEXT_CTRL
_DISABLED, _READ_ONLY, _WRITE_ONLY = 0x0001, 0x0004, 0x0040
_INTEGER, _BOOLEAN, _MENU, _INTEGER_MENU = 1, 2, 3, 9

Ioctl = Callable[[int, int, bytearray], int]


def _iowr(number: int, size: int) -> int:
    """_IOWR('V', number, size) of asm-generic/ioctl.h."""
    return (3 << 30) | (size << 16) | (ord("V") << 8) | number


VIDIOC_G_CTRL = _iowr(27, _CONTROL.size)
VIDIOC_S_CTRL = _iowr(28, _CONTROL.size)
VIDIOC_QUERYCTRL = _iowr(36, _QUERYCTRL.size)
VIDIOC_QUERYMENU = _iowr(37, _QUERYMENU.size)


@dataclass(frozen=True)
class Control:
    """One control. ``name`` is formatted as in v4l2-ctl; ``menu`` holds values and texts, empty for other controls."""

    identifier: int
    name: str
    text: str
    is_bool: bool
    low: int
    high: int
    step: int
    default: int
    read_only: bool
    menu: tuple[tuple[int, str], ...] = ()

    def describe(self) -> str:
        """The text, with the meaning of menu values."""
        values = ", ".join(f"{value}: {text}" for value, text in self.menu)
        return f"{self.text} ({values})" if values else self.text


def plain_name(text: str) -> str:
    """``Exposure Time, Absolute`` -> ``exposure_time_absolute``, as v4l2-ctl does."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


class ControlDevice:
    """The controls of an open device, as a context manager. The device may be streaming at the same time.

    Raises:
        SourceError: the device does not exist or was removed.
    """

    def __init__(self, path: str, ioctl: Ioctl = fcntl.ioctl) -> None:
        self._path = path
        self._ioctl = ioctl
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        except OSError as error:
            raise SourceError(f"{path} cannot be opened: {error.strerror}") from error

    def __enter__(self) -> ControlDevice:
        return self

    def __exit__(self, *_exception: object) -> None:
        os.close(self._fd)

    def controls(self) -> list[Control]:
        """All integer, boolean and menu controls, in the device's order."""
        return list(self._each())

    def get(self, control: Control) -> int:
        """The current value.

        Raises:
            SourceError: the value cannot be read.
        """
        data = bytearray(_CONTROL.pack(control.identifier, 0))
        self._call(VIDIOC_G_CTRL, data, f"reading {control.name}")
        return int(_CONTROL.unpack(data)[1])

    def set(self, control: Control, value: int) -> None:
        """Set a value.

        Raises:
            SettingError: the value is out of range, or the device refuses it (e.g. manual exposure while auto exposure
                is on).
        """
        name = f"control.{control.name}"
        if not control.low <= value <= control.high:
            raise SettingError(name, value, f"must be {control.low} to {control.high}")
        if control.menu and value not in dict(control.menu):
            raise SettingError(name, value, f"must be one of {', '.join(f'{v} ({t})' for v, t in control.menu)}")
        try:
            self._call(VIDIOC_S_CTRL, bytearray(_CONTROL.pack(control.identifier, value)), f"setting {control.name}")
        except SourceError as error:
            raise SettingError(name, value, f"the device refuses it: {error}") from error

    def _call(self, request: int, data: bytearray, what: str) -> None:
        try:
            self._ioctl(self._fd, request, data)
        except OSError as error:
            raise SourceError(f"{what} on {self._path} failed: {error.strerror}") from error

    def _each(self) -> Iterator[Control]:
        identifier = 0
        while True:
            data = bytearray(_QUERYCTRL.pack(identifier | _NEXT, 0, b"", 0, 0, 0, 0, 0))
            try:
                self._ioctl(self._fd, VIDIOC_QUERYCTRL, data)
            except OSError:
                return  # EINVAL: no more controls
            identifier, kind, name, low, high, step, default, flags = _QUERYCTRL.unpack(data)
            if kind not in (_INTEGER, _BOOLEAN, _MENU, _INTEGER_MENU) or flags & (_DISABLED | _WRITE_ONLY):
                continue
            text = _text(name)
            menu = self._menu(identifier, low, high) if kind == _MENU else ()
            yield Control(
                identifier, plain_name(text), text, kind == _BOOLEAN, low, high, step, default,
                bool(flags & _READ_ONLY), menu,
            )  # fmt: skip

    def _menu(self, identifier: int, low: int, high: int) -> tuple[tuple[int, str], ...]:
        found = []
        for index in range(low, high + 1):
            data = bytearray(_QUERYMENU.pack(identifier, index, b""))
            try:
                self._ioctl(self._fd, VIDIOC_QUERYMENU, data)
            except OSError:
                continue  # menus may have gaps
            found.append((index, _text(_QUERYMENU.unpack(data)[2])))
        return tuple(found)


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")
