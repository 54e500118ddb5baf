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

"""Reads Qt resource archives (``.rcc``), the format in which GCompris ships its photographs.

Format: header ``qres``, version, offsets of tree, data and names (big endian); nodes of 22 bytes from version 2 on;
names in UTF-16; each file's bytes after a 32-bit length, compressed with zlib if flag 1 is set.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from edgecam_training.errors import DatasetError

_COMPRESSED, _FOLDER = 1, 2


def files(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of every file in an archive.

    Raises:
        DatasetError: not a resource archive, truncated, or with an unsupported compression.
    """
    try:
        magic, version, tree, data, names = struct.unpack_from(">4sIIII", archive)
        if magic != b"qres" or version not in (2, 3):
            raise DatasetError(f"not a Qt resource archive of version 2 or 3: {magic!r} {version}")
        yield from _walk(archive, (tree, data, names), 0, "")
    except (struct.error, zlib.error) as error:
        raise DatasetError(f"a Qt resource archive is damaged: {error}") from error


def _walk(archive: bytes, offsets: tuple[int, int, int], node: int, path: str) -> Iterator[tuple[str, bytes]]:
    tree, data, names = offsets
    name_at, flags, first, second = struct.unpack_from(">IHII", archive, tree + node * 22)
    if node:
        (length,) = struct.unpack_from(">H", archive, names + name_at)
        name = archive[names + name_at + 6 : names + name_at + 6 + 2 * length].decode("utf-16-be")
        path = f"{path}/{name}" if path else name
    if flags & _FOLDER:
        for child in range(second, second + first):
            yield from _walk(archive, offsets, child, path)
        return
    if flags & ~_COMPRESSED:
        raise DatasetError(f"{path} uses a compression that is not supported (flags {flags})")
    (length,) = struct.unpack_from(">I", archive, data + second)
    content = archive[data + second + 4 : data + second + 4 + length]
    yield path, zlib.decompress(content[4:]) if flags & _COMPRESSED else content
