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

"""H.265 and its RTP payload format: RFC 7798 (single NAL unit, aggregation and fragmentation packets, no DONL)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgecam_core.media import h265_headers, nal
from edgecam_core.media.headers import SetKey, SliceHeader

VPS, SPS, PPS, AUD, AP, FU, PACI = 32, 33, 34, 35, 48, 49, 50
RASL_N, RASL_R = 8, 9
BLA_W_LP, BLA_N_LP, CRA = 16, 18, 21
END_OF_SEQUENCE, END_OF_BITSTREAM = 36, 37


class H265:
    """See :class:`edgecam_core.media.codecs.Codec`."""

    name = "h265"
    encoding_name = "H265"
    media_type = "video/x-h265"
    parser = "h265parse"
    parameter_sets: tuple[int, ...] = (VPS, SPS, PPS)
    delimiter = AUD
    sprop: tuple[str, ...] = ("sprop-vps", "sprop-sps", "sprop-pps")

    def kind(self, unit: bytes) -> int:
        return unit[0] >> 1 & 0x3F

    def is_vcl(self, kind: int) -> bool:
        return kind < VPS

    def is_keyframe(self, kind: int) -> bool:
        return BLA_W_LP <= kind <= CRA

    def is_skipped_after_join(self, kind: int) -> bool:
        return kind in (RASL_N, RASL_R)

    def breaks_link(self, kind: int) -> bool:
        return BLA_W_LP <= kind <= BLA_N_LP

    def ends_sequence(self, kind: int) -> bool:
        return kind in (END_OF_SEQUENCE, END_OF_BITSTREAM)

    def set_id(self, unit: bytes) -> int:
        return h265_headers.set_id(unit)

    def recovery_count(self, nals: Sequence[bytes]) -> int | None:
        return h265_headers.recovery_count(nals)

    def slice_header(self, unit: bytes, sets: Mapping[SetKey, bytes]) -> SliceHeader:
        return h265_headers.slice_header(unit, sets)

    def is_intra(self, unit: bytes, sets: Mapping[SetKey, bytes]) -> bool:
        is_first = len(unit) > 2 and unit[2] & 0x80
        return not is_first or h265_headers.slice_header(unit, sets).intra  # only the first one's type is parsed

    def begins_unit(self, payload: bytes) -> bool:
        if len(payload) < 6:
            return False
        kind = self.kind(payload)
        return (self.kind(payload[4:]) if kind == AP else kind) in (VPS, AUD)

    def pack(self, nals: Sequence[bytes], limit: int) -> list[bytes]:
        payloads = []
        for group in nal.groups(nals, limit - 2):
            if len(group) > 1:
                payloads.append(_aggregation_header(group) + nal.aggregate(group))
            elif len(group[0]) <= limit:
                payloads.append(group[0])
            else:
                payloads += _fragments(group[0], limit)
        return payloads

    def unpack(self, payload: bytes, open_unit: list[bytes]) -> list[bytes]:
        if len(payload) < 3:
            raise nal.PacketError(f"an H.265 payload needs 3 bytes, got {len(payload)}")
        if payload[0] & 0x80:
            raise nal.PacketError("forbidden_zero_bit is set")
        kind = self.kind(payload)
        if kind == FU:
            code = payload[2]
            header = bytes([payload[0] & 0x81 | (code & 0x3F) << 1, payload[1]])
            return nal.continue_unit(open_unit, header, payload[3:], bool(code & 0x80), bool(code & 0x40))
        if open_unit:
            open_unit.clear()
            raise nal.PacketError("a fragmented NAL unit is incomplete")
        if kind == AP:
            return nal.disaggregate(payload[2:], shortest=3)
        if kind >= PACI:
            raise nal.PacketError(f"NAL unit type {kind} is not supported (RFC 7798)")
        return [payload]

    def sprop_values(self, nals: Sequence[bytes]) -> dict[str, str]:
        by_kind = {kind: [nal.encode64(unit) for unit in nals if self.kind(unit) == kind] for kind in (VPS, SPS, PPS)}
        pairs = zip(self.sprop, by_kind.values(), strict=True)
        return {name: ",".join(units) for name, units in pairs if units}

    def sprop_nals(self, parameters: dict[str, str]) -> list[bytes]:
        return [unit for name in self.sprop for unit in nal.decode64(parameters.get(name, ""))]


def _aggregation_header(group: Sequence[bytes]) -> bytes:
    """The payload header of an aggregation packet (RFC 7798 section 4.4.2): the lowest layer and temporal ids."""
    layer = min((unit[0] & 1) << 5 | unit[1] >> 3 for unit in group)
    temporal = min(unit[1] & 7 for unit in group)
    return bytes([AP << 1 | layer >> 5, (layer & 0x1F) << 3 | temporal])


def _fragments(unit: bytes, limit: int) -> list[bytes]:
    kind = unit[0] >> 1 & 0x3F
    room = limit - 3
    pieces = []
    for at in range(2, len(unit), room):
        marks = (0x80 if at == 2 else 0) | (0x40 if at + room >= len(unit) else 0)
        pieces.append(bytes([unit[0] & 0x81 | FU << 1, unit[1], kind | marks]) + unit[at : at + room])
    return pieces
