"""Simulates the kernel's side of the V4L2 control ioctls, with the structure layout of linux/videodev2.h."""

from __future__ import annotations

import errno
import struct

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
