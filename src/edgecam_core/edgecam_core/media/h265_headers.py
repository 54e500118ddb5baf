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

"""The H.265 headers needed to join a stream (ITU-T H.265 sections 7.3.2, 7.3.6 and D.2.8). Pure functions.

A NAL unit is ``bytes`` without a start code. All functions raise BitstreamError for a damaged unit.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from edgecam_core.media.bits import Bits, BitstreamError, recovery_payload
from edgecam_core.media.headers import SetKey, SliceHeader, parameter_set

VPS, SPS, PPS, PREFIX_SEI = 32, 33, 34, 39
_IRAP = range(16, 24)
_IDR = (19, 20)
_I_SLICE = 2
_LIMITS = {VPS: 16, SPS: 16, PPS: 64}


def kind_of(unit: bytes) -> int:
    return unit[0] >> 1 & 0x3F


def set_id(unit: bytes) -> int:
    """The identifier of a video, sequence or picture parameter set."""
    kind = kind_of(unit)
    identifier = Bits(unit[2:]).u(4) if kind == VPS else _sequence(unit)[0] if kind == SPS else Bits(unit[2:]).ue()
    if identifier >= _LIMITS[kind]:
        raise BitstreamError(f"parameter set identifier {identifier}")
    return identifier


def recovery_count(nals: Sequence[bytes]) -> int | None:
    """recovery_poc_cnt of the access unit's recovery point message; None if it has no such message."""
    for unit in nals:
        if kind_of(unit) == PREFIX_SEI and (bits := recovery_payload(unit[2:])) is not None:
            return bits.se()
    return None


def slice_header(unit: bytes, sets: Mapping[SetKey, bytes]) -> SliceHeader:
    """The header of the first slice segment of a frame; ``sets`` are the known parameter sets."""
    kind = kind_of(unit)
    bits = Bits(unit[2:], 64)
    if not bits.u(1):
        raise BitstreamError("the first slice segment is missing")
    if kind in _IRAP:
        bits.u(1)  # no_output_of_prior_pics_flag
    picture_set = (PPS, bits.ue())
    sequence_id, output_flag, extra = _picture_set(parameter_set(sets, picture_set))
    sequence_set = (SPS, sequence_id)
    _, video_id, separate_planes, width = _sequence(parameter_set(sets, sequence_set))
    video_set = (VPS, video_id)
    parameter_set(sets, video_set)
    bits.u(extra)
    intra = bits.ue() == _I_SLICE
    bits.u(output_flag + 2 * separate_planes)
    number = 0 if kind in _IDR else bits.u(width)
    reference = kind > 15 or bool(kind % 2)  # sub-layer non-reference types are even
    return SliceHeader(number, 1 << width, intra, reference, (video_set, sequence_set, picture_set))


@functools.lru_cache(maxsize=64)
def _picture_set(unit: bytes) -> tuple[int, int, int]:
    """The SPS identifier, output_flag_present_flag and num_extra_slice_header_bits of a picture parameter set."""
    bits = Bits(unit[2:])
    bits.skip_ue(1)
    sequence_id = bits.ue()
    bits.u(1)  # dependent_slice_segments_enabled_flag
    return sequence_id, bits.u(1), bits.u(3)


@functools.lru_cache(maxsize=64)
def _sequence(unit: bytes) -> tuple[int, int, int, int]:
    """The SPS and VPS identifiers, separate_colour_plane_flag and the bits of the order count of an SPS."""
    bits = Bits(unit[2:])
    video_id = bits.u(4)
    sub_layers = bits.u(3)
    bits.u(1)
    _skip_profile(bits, sub_layers)
    identifier = bits.ue()
    separate_planes = bits.u(1) if bits.ue() == 3 else 0
    bits.skip_ue(2)  # size
    if bits.u(1):
        bits.skip_ue(4)  # conformance window
    bits.skip_ue(2)  # bit depths
    width = bits.ue() + 4
    if width > 16:
        raise BitstreamError(f"an order count of {width} bits")
    return identifier, video_id, separate_planes, width


def _skip_profile(bits: Bits, sub_layers: int) -> None:
    """profile_tier_level( 1, sub_layers ), section 7.3.3."""
    bits.u(96)
    present = [(bits.u(1), bits.u(1)) for _ in range(sub_layers)]
    if sub_layers:
        bits.u(2 * (8 - sub_layers))
    for profile, level in present:
        bits.u(88 * profile + 8 * level)
