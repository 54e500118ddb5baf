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

"""H.264 and its RTP payload format: RFC 6184, packetization-mode 1 (single NAL unit, STAP-A, FU-A)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgecam_core.media import h264_headers, nal
from edgecam_core.media.headers import SetKey, SliceHeader

IDR, SPS, PPS, AUD, END_OF_SEQUENCE, END_OF_STREAM, STAP_A, FU_A = 5, 7, 8, 9, 10, 11, 24, 28


class H264:
    """See :class:`edgecam_core.media.codecs.Codec`."""

    name = "h264"
    encoding_name = "H264"
    media_type = "video/x-h264"
    parser = "h264parse"
    parameter_sets: tuple[int, ...] = (SPS, PPS)
    delimiter = AUD
    sprop: tuple[str, ...] = ("sprop-parameter-sets",)

    def kind(self, unit: bytes) -> int:
        return unit[0] & 0x1F

    def is_vcl(self, kind: int) -> bool:
        return 1 <= kind <= IDR

    def is_keyframe(self, kind: int) -> bool:
        return kind == IDR

    def is_skipped_after_join(self, kind: int) -> bool:
        return False

    def breaks_link(self, kind: int) -> bool:
        return False

    def ends_sequence(self, kind: int) -> bool:
        return kind in (END_OF_SEQUENCE, END_OF_STREAM)

    def set_id(self, unit: bytes) -> int:
        return h264_headers.set_id(unit)

    def recovery_count(self, nals: Sequence[bytes]) -> int | None:
        return h264_headers.recovery_count(nals)

    def slice_header(self, unit: bytes, sets: Mapping[SetKey, bytes]) -> SliceHeader:
        return h264_headers.slice_header(unit, sets)

    def is_intra(self, unit: bytes, sets: Mapping[SetKey, bytes]) -> bool:
        return h264_headers.slice_header(unit, sets).intra

    def begins_unit(self, payload: bytes) -> bool:
        if len(payload) < 4:
            return False
        kind = self.kind(payload)
        return (self.kind(payload[3:]) if kind == STAP_A else kind) in (SPS, AUD)

    def pack(self, nals: Sequence[bytes], limit: int) -> list[bytes]:
        payloads = []
        for group in nal.groups(nals, limit - 1):
            if len(group) > 1:
                importance = max(unit[0] & 0x60 for unit in group)
                payloads.append(bytes([importance | STAP_A]) + nal.aggregate(group))
            elif len(group[0]) <= limit:
                payloads.append(group[0])
            else:
                payloads += _fragments(group[0], limit)
        return payloads

    def unpack(self, payload: bytes, open_unit: list[bytes]) -> list[bytes]:
        if len(payload) < 2:
            raise nal.PacketError(f"an H.264 payload needs 2 bytes, got {len(payload)}")
        if payload[0] & 0x80:
            raise nal.PacketError("forbidden_zero_bit is set")
        kind = self.kind(payload)
        if kind == FU_A:
            code = payload[1]
            header = bytes([payload[0] & 0xE0 | code & 0x1F])
            return nal.continue_unit(open_unit, header, payload[2:], bool(code & 0x80), bool(code & 0x40))
        if open_unit:
            open_unit.clear()
            raise nal.PacketError("a fragmented NAL unit is incomplete")
        if kind == STAP_A:
            return nal.disaggregate(payload[1:], shortest=2)
        if kind == 0 or kind > STAP_A:
            raise nal.PacketError(f"NAL unit type {kind} is not part of packetization-mode 1")
        return [payload]

    def sprop_values(self, nals: Sequence[bytes]) -> dict[str, str]:
        units = [unit for kind in (SPS, PPS) for unit in nals if self.kind(unit) == kind]
        values = {"packetization-mode": "1"}
        if units:
            values["sprop-parameter-sets"] = ",".join(map(nal.encode64, units))
        return values

    def sprop_nals(self, parameters: dict[str, str]) -> list[bytes]:
        return nal.decode64(parameters.get("sprop-parameter-sets", ""))


def _fragments(unit: bytes, limit: int) -> list[bytes]:
    indicator = unit[0] & 0xE0 | FU_A
    kind = unit[0] & 0x1F
    room = limit - 2
    pieces = []
    for at in range(1, len(unit), room):
        marks = (0x80 if at == 1 else 0) | (0x40 if at + room >= len(unit) else 0)
        pieces.append(bytes([indicator, kind | marks]) + unit[at : at + room])
    return pieces
