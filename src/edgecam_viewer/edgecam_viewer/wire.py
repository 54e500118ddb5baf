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

"""The message to the browser: one binary WebSocket message per frame.

Layout: uint32 little-endian length N, N bytes of UTF-8 JSON, then the JPEG file. The JSON object has

- ``camera``: index of the camera;
- ``stamp``: capture time in nanoseconds, as text (a JavaScript number cannot represent it);
- ``width``, ``height``: size of the source frame in pixels, to which the boxes refer;
- ``detections``: null if there are no detections for this frame, otherwise a list of
  ``[label, score, x1, y1, x2, y2, track_id]``; the boxes belong to exactly this frame.

Frame and boxes are in one message, so that they cannot be separated.
"""

from __future__ import annotations

import itertools
import json
import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from edgecam_core.types import Detection

from edgecam_viewer.text import one_line

_LENGTH = struct.Struct("<I")
Found = list[list[str | float]]
MAX_FOUND = 1000  # boxes of one frame
MAX_LABEL = 64  # characters of a label or a track id


@dataclass(frozen=True, slots=True)
class FrameMessage:
    """One encoded frame; ``message`` is the complete binary message, ``jpeg`` its last part."""

    camera: int
    stamp_ns: int
    message: bytes
    jpeg: memoryview


def found_list(detections: Iterable[Detection]) -> Found:
    """Detections for the message: in their order, boxes rounded to a tenth of a pixel, texts on one short line.

    Omits detections whose box or score is not finite, which JSON does not support, and all after the first MAX_FOUND.
    """
    finite = (one for one in detections if all(map(math.isfinite, (one.score, *one.box))))
    return [
        [
            one_line(one.label, MAX_LABEL),
            round(one.score, 3),
            *(round(edge, 1) for edge in one.box),
            one_line(one.track_id, MAX_LABEL),
        ]
        for one in itertools.islice(finite, MAX_FOUND)
    ]


def pack(camera: int, stamp_ns: int, size: tuple[int, int], found: Found | None, jpeg: np.ndarray) -> FrameMessage:
    """Build the message. ``size`` is (width, height) of the source frame, ``jpeg`` flat uint8."""
    width, height = size
    facts = {"camera": camera, "stamp": str(stamp_ns), "width": width, "height": height, "detections": found}
    header = json.dumps(facts, separators=(",", ":")).encode()
    message = b"".join((_LENGTH.pack(len(header)), header, jpeg.data))
    return FrameMessage(camera, stamp_ns, message, memoryview(message)[_LENGTH.size + len(header) :])


def unpack(message: bytes) -> tuple[dict, bytes]:
    """The JSON object and the JPEG of a message.

    Raises:
        ValueError: the message is shorter than its header states.
    """
    if len(message) < _LENGTH.size:
        raise ValueError(f"a frame message needs {_LENGTH.size} bytes, got {len(message)}")
    (length,) = _LENGTH.unpack_from(message)
    end = _LENGTH.size + length
    if len(message) < end:
        raise ValueError(f"a frame message with a header of {length} needs {end} bytes, got {len(message)}")
    return json.loads(message[_LENGTH.size : end]), message[end:]
