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

"""The codecs by name. A new codec is one new file and one row here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from edgecam_core.errors import SettingError
from edgecam_core.media.h264 import H264
from edgecam_core.media.h265 import H265
from edgecam_core.media.headers import SetKey, SliceHeader


class Codec(Protocol):
    """A codec: its NAL units, random access points, and RTP payload format.

    A NAL unit is ``bytes`` without a start code. ``parameter_sets`` are the NAL unit types that a decoder needs before
    a keyframe, in the order they are sent; ``delimiter`` is the type that may precede them. All methods are pure.
    """

    name: str  # "h265"
    encoding_name: str  # "H265", as SDP writes it
    media_type: str  # GStreamer's caps name
    parser: str  # GStreamer's parser element
    parameter_sets: tuple[int, ...]
    delimiter: int
    sprop: tuple[str, ...]  # SDP format parameters that carry the parameter sets

    def kind(self, nal: bytes) -> int:
        """The NAL unit type."""

    def is_vcl(self, kind: int) -> bool:
        """Whether NAL units of this type carry image data (VCL)."""

    def is_keyframe(self, kind: int) -> bool:
        """Whether decoding can begin at a frame of this type."""

    def is_skipped_after_join(self, kind: int) -> bool:
        """Whether frames of this type cannot be decoded if decoding began at the preceding keyframe."""

    def breaks_link(self, kind: int) -> bool:
        """Whether the leading frames of a keyframe of this type can never be decoded (BLA)."""

    def ends_sequence(self, kind: int) -> bool:
        """Whether no frame after a unit of this type refers to a frame before it."""

    def set_id(self, nal: bytes) -> int:
        """The identifier of a parameter set.

        Raises:
            BitstreamError: the parameter set is damaged.
        """

    def recovery_count(self, nals: Sequence[bytes]) -> int | None:
        """Distance from this access unit to its recovery point, in ``SliceHeader.number``; None: it has no message.

        Raises:
            BitstreamError: the recovery point message is damaged.
        """

    def slice_header(self, nal: bytes, sets: Mapping[SetKey, bytes]) -> SliceHeader:
        """The header of the first slice of a frame.

        Raises:
            BitstreamError: the header is damaged, or a parameter set is missing.
        """

    def is_intra(self, nal: bytes, sets: Mapping[SetKey, bytes]) -> bool:
        """Whether a slice refers to no other frame.

        Raises:
            BitstreamError: as :meth:`slice_header`.
        """

    def begins_unit(self, payload: bytes) -> bool:
        """Whether this RTP payload is certain to be the first of an access unit."""

    def pack(self, nals: Sequence[bytes], limit: int) -> list[bytes]:
        """RTP payloads of at most ``limit`` bytes for one access unit."""

    def unpack(self, payload: bytes, open_unit: list[bytes]) -> list[bytes]:
        """The NAL units that end in this payload. ``open_unit`` keeps the fragments of a NAL unit between calls.

        Raises:
            PacketError: the payload does not follow the format, or fragments do not fit together.
        """

    def sprop_values(self, nals: Sequence[bytes]) -> dict[str, str]:
        """SDP format parameters for these parameter sets."""

    def sprop_nals(self, parameters: dict[str, str]) -> list[bytes]:
        """The parameter sets in SDP format parameters.

        Raises:
            ValueError: they are not base 64.
        """


CODECS: dict[str, Codec] = {"h265": H265(), "h264": H264()}


def codec(name: str) -> Codec:
    """The codec of that name.

    Raises:
        SettingError: for the parameter ``codec``: unknown; the text names the known codecs.
    """
    try:
        return CODECS[name]
    except KeyError:
        raise SettingError("codec", name, f"must be one of {', '.join(CODECS)}") from None
