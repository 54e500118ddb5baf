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

"""The H.264 headers needed to join a stream (ITU-T H.264 sections 7.3.2, 7.3.3 and D.1.8). Pure functions.

A NAL unit is ``bytes`` without a start code. All functions raise BitstreamError for a damaged unit.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from edgecam_core.media.bits import Bits, BitstreamError, recovery_payload
from edgecam_core.media.headers import SetKey, SliceHeader, parameter_set

SEI, SPS, PPS = 6, 7, 8
_INTRA = (2, 4)  # I and SI, modulo 5
# Profiles whose sequence parameter set describes chroma and scaling lists.
_HIGH = (44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244)


def set_id(unit: bytes) -> int:
    """The identifier of a sequence or picture parameter set."""
    is_sequence = unit[0] & 0x1F == SPS
    identifier = Bits(unit[4:] if is_sequence else unit[1:]).ue()
    if identifier > (31 if is_sequence else 255):
        raise BitstreamError(f"parameter set identifier {identifier}")
    return identifier


def recovery_count(nals: Sequence[bytes]) -> int | None:
    """recovery_frame_cnt of the access unit's recovery point message; None if it has no such message."""
    for unit in nals:
        if unit[0] & 0x1F == SEI and (bits := recovery_payload(unit[1:])) is not None:
            return bits.ue()
    return None


def slice_header(unit: bytes, sets: Mapping[SetKey, bytes]) -> SliceHeader:
    """The header of a slice; ``sets`` are the known parameter sets."""
    bits = Bits(unit[1:], 64)
    bits.skip_ue(1)  # first_mb_in_slice
    kind = bits.ue() % 5
    picture_set = (PPS, bits.ue())
    sequence_set = (SPS, _sequence_id(parameter_set(sets, picture_set)))
    width, separate_planes = _frame_num(parameter_set(sets, sequence_set))
    if separate_planes:
        bits.u(2)
    return SliceHeader(bits.u(width), 1 << width, kind in _INTRA, bool(unit[0] & 0x60), (sequence_set, picture_set))


@functools.lru_cache(maxsize=64)
def _sequence_id(picture_set: bytes) -> int:
    bits = Bits(picture_set[1:])
    bits.skip_ue(1)
    return bits.ue()


@functools.lru_cache(maxsize=64)
def _frame_num(sequence_set: bytes) -> tuple[int, bool]:
    """The number of bits of frame_num, and whether colour planes are coded separately."""
    profile = sequence_set[1] if len(sequence_set) > 1 else 0
    bits = Bits(sequence_set[4:])
    bits.skip_ue(1)  # seq_parameter_set_id
    separate_planes = False
    if profile in _HIGH:
        chroma = bits.ue()
        separate_planes = chroma == 3 and bool(bits.u(1))
        bits.skip_ue(2)  # bit depths
        bits.u(1)  # qpprime_y_zero_transform_bypass_flag
        if bits.u(1):
            for index in range(12 if chroma == 3 else 8):
                if bits.u(1):
                    _skip_scaling_list(bits, 16 if index < 6 else 64)
    width = bits.ue() + 4
    if width > 16:
        raise BitstreamError(f"frame_num of {width} bits")
    return width, separate_planes


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last
