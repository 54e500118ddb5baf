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

"""The header fields of an access unit that are needed to join a stream, in one form for all codecs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from edgecam_core.media.bits import BitstreamError

SetKey = tuple[int, int]
"""NAL unit type and identifier of a parameter set."""


class SliceHeader(NamedTuple):
    """The header of a slice.

    ``number`` counts modulo ``modulus``: frame_num in H.264 (decoding order), the low bits of the picture order count
    in H.265 (output order). Distances to recovery points are in this number. ``sets`` are the parameter sets that the
    slice needs.
    """

    number: int
    modulus: int
    intra: bool
    reference: bool
    sets: tuple[SetKey, ...]


def parameter_set(sets: Mapping[SetKey, bytes], key: SetKey) -> bytes:
    """The parameter set of that type and identifier.

    Raises:
        BitstreamError: it is unknown.
    """
    try:
        return sets[key]
    except KeyError:
        raise BitstreamError(f"parameter set {key[1]} of type {key[0]} is missing") from None
