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

"""RTCP packets: SR, RR, SDES, BYE (RFC 3550), generic NACK, PLI (RFC 4585), FIR (RFC 5104), RFC 8888 feedback."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from edgecam_core.rtp.packet import RTP_VERSION, PacketError

SR, RR, SDES, BYE, RTPFB, PSFB = 200, 201, 202, 203, 205, 206
NACK_FORMAT, PLI_FORMAT, FIR_FORMAT, CONGESTION_FORMAT = 1, 1, 4, 11
MAX_REPORTED = 1024  # packets in one congestion control feedback
MAX_NACKED = 1024  # sequence numbers in one message; edgecam's receivers request 256 at most
_HEAD = struct.Struct("!BBH")


class SenderReport(NamedTuple):
    ssrc: int
    ntp: int
    rtp_timestamp: int


class Nack(NamedTuple):
    media_ssrc: int
    sequences: tuple[int, ...]


class KeyframeRequest(NamedTuple):
    """A PLI or a FIR."""

    media_ssrc: int


class Bye(NamedTuple):
    ssrcs: tuple[int, ...]


class ReportBlock(NamedTuple):
    """The report of a receiver on one stream; ``loss`` is the share lost since its last report, 0..1."""

    media_ssrc: int
    loss: float


class CongestionFeedback(NamedTuple):
    """RFC 8888 feedback on one stream.

    ``reported_at`` is the receiver's clock in seconds modulo 65536. ``arrivals`` holds sequence number and age of each
    packet, in seconds before ``reported_at`` (None: not arrived).
    """

    media_ssrc: int
    reported_at: float
    arrivals: tuple[tuple[int, float | None], ...]


Message = SenderReport | Nack | KeyframeRequest | Bye | ReportBlock | CongestionFeedback


def parse(data: bytes) -> list[Message]:
    """The messages of a compound packet that edgecam uses; others are skipped.

    Raises:
        PacketError: the packet contains lengths that do not fit.
    """
    found: list[Message] = []
    for kind, count, body in _packets(data):
        if kind == SR and len(body) >= 24:
            ssrc, ntp, timestamp = struct.unpack_from("!IQI", body)
            found.append(SenderReport(ssrc, ntp, timestamp))
        elif kind == RR:
            found += _report_blocks(body, count)
        elif kind == BYE and len(body) >= 4 * count:
            found.append(Bye(struct.unpack_from(f"!{count}I", body)))
        elif kind == RTPFB and count == NACK_FORMAT and len(body) >= 8:
            found.append(Nack(_word(body, 4), tuple(islice(_nacked(body[8:]), MAX_NACKED))))
        elif kind == RTPFB and count == CONGESTION_FORMAT and len(body) >= 8:
            found += _congestion(body)
        elif kind == PSFB and count == PLI_FORMAT and len(body) >= 8:
            found.append(KeyframeRequest(_word(body, 4)))
        elif kind == PSFB and count == FIR_FORMAT and len(body) >= 16:
            found.append(KeyframeRequest(_word(body, 8)))
    return found


def _report_blocks(body: bytes, count: int) -> Iterator[ReportBlock]:
    for at in range(4, min(len(body), 4 + 24 * count) - 23, 24):
        yield ReportBlock(_word(body, at), body[at + 4] / 256)


def _congestion(body: bytes) -> Iterator[CongestionFeedback]:
    reported_at = _word(body, len(body) - 4) / 65_536
    at, end = 4, len(body) - 4
    while at + 8 <= end:
        ssrc, first, count = struct.unpack_from("!IHH", body, at)
        at += 8
        if count > MAX_REPORTED or at + 2 * count > end:
            raise PacketError("RTCP: congestion control feedback cut inside its reports")
        reports = struct.unpack_from(f"!{count}H", body, at)
        arrivals = tuple(((first + nth) & 0xFFFF, _offset(each)) for nth, each in enumerate(reports))
        yield CongestionFeedback(ssrc, reported_at, arrivals)
        at += 2 * (count + count % 2)


def _offset(report: int) -> float | None:
    if not report & 0x8000:
        return None
    return (report & 0x1FFF) / 1024


def _word(body: bytes, at: int) -> int:
    return int(struct.unpack_from("!I", body, at)[0])


def _packets(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at < len(data):
        if len(data) - at < 4:
            raise PacketError("RTCP: cut inside a header")
        first, kind, words = _HEAD.unpack_from(data, at)
        end = at + 4 + 4 * words
        if first >> 6 != RTP_VERSION or end > len(data):
            raise PacketError("RTCP: not version 2 or cut inside a packet")
        yield kind, first & 0x1F, data[at + 4 : end]
        at = end


def _nacked(body: bytes) -> Iterator[int]:
    for at in range(0, len(body) - 3, 4):
        first, mask = struct.unpack_from("!HH", body, at)
        yield first
        yield from ((first + 1 + bit) & 0xFFFF for bit in range(16) if mask >> bit & 1)


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return _HEAD.pack(RTP_VERSION << 6 | count, kind, len(body) // 4) + body


def sender_report(ssrc: int, ntp: int, rtp_timestamp: int, packets: int, octets: int) -> bytes:
    counts = (packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)
    return _packet(SR, 0, struct.pack("!IQIII", ssrc, ntp, rtp_timestamp & 0xFFFFFFFF, *counts))


def receiver_report(ssrc: int, block: bytes = b"") -> bytes:
    """A receiver report, the first part of every compound packet of a receiver.

    ``block`` is the result of :func:`report_block`.
    """
    return _packet(RR, bool(block), struct.pack("!I", ssrc) + block)


def report_block(
    media_ssrc: int, loss: float, lost: int, highest: int, jitter: int, report: int = 0, delay: float = 0.0
) -> bytes:
    """A report block (RFC 3550 section 6.4.1).

    ``loss`` is the share lost since the last report, ``lost`` the number of packets lost so far, ``highest`` the
    highest extended sequence number, ``jitter`` in RTP clock units, ``report`` the middle 32 bits of the NTP time of
    the last sender report, and ``delay`` the seconds since that report.
    """
    lost = min(max(lost, -(1 << 23)), (1 << 23) - 1) & 0xFFFFFF
    share = min(max(int(loss * 256), 0), 255)
    words = (share << 24 | lost, highest & 0xFFFFFFFF, jitter & 0xFFFFFFFF, report, int(delay * 65_536) & 0xFFFFFFFF)
    return struct.pack("!I5I", media_ssrc, *words)


def congestion_feedback(ssrc: int, media_ssrc: int, first: int, ages: list[float | None], now: float) -> bytes:
    """RFC 8888 feedback: ``ages`` in seconds before ``now`` from sequence number ``first`` on; None: not arrived."""
    reports = [0 if age is None else 0x8000 | min(max(int(age * 1024), 0), 0x1FFE) for age in ages]
    body = struct.pack("!IIHH", ssrc, media_ssrc, first & 0xFFFF, len(reports))
    body += struct.pack(f"!{len(reports)}H", *reports) + bytes(2 * (len(reports) % 2))
    return _packet(RTPFB, CONGESTION_FORMAT, body + struct.pack("!I", int(now * 65_536) & 0xFFFFFFFF))


def source_description(ssrc: int, cname: str) -> bytes:
    item = cname.encode()[:255]
    chunk = struct.pack("!IBB", ssrc, 1, len(item)) + item
    return _packet(SDES, 1, chunk + bytes(4 - len(chunk) % 4))


def bye(ssrc: int) -> bytes:
    return _packet(BYE, 1, struct.pack("!I", ssrc))


def nack(ssrc: int, media_ssrc: int, sequences: Iterable[int]) -> bytes:
    """Request packets again (generic NACK); ``sequences`` in order, modulo 2**16."""
    pairs: list[list[int]] = []
    for sequence in sequences:
        distance = (sequence - pairs[-1][0]) & 0xFFFF if pairs else 0
        if pairs and 1 <= distance <= 16:
            pairs[-1][1] |= 1 << (distance - 1)
        else:
            pairs.append([sequence & 0xFFFF, 0])
    body = b"".join(struct.pack("!HH", *pair) for pair in pairs)
    return _packet(RTPFB, NACK_FORMAT, struct.pack("!II", ssrc, media_ssrc) + body)


def picture_loss_indication(ssrc: int, media_ssrc: int) -> bytes:
    """Request a keyframe (PLI)."""
    return _packet(PSFB, PLI_FORMAT, struct.pack("!II", ssrc, media_ssrc))
