"""The RTCP packets in use: SR, RR, SDES, BYE (RFC 3550), generic NACK and PLI (RFC 4585), FIR (RFC 5104)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from edgecam_core.rtp.packet import RTP_VERSION, PacketError

SR, RR, SDES, BYE, RTPFB, PSFB = 200, 201, 202, 203, 205, 206
NACK_FORMAT, PLI_FORMAT, FIR_FORMAT = 1, 1, 4
MOST_NACKED = 1024  # sequence numbers in one message; our own receivers ask for 256 at most
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


def parse(data: bytes) -> list[SenderReport | Nack | KeyframeRequest | Bye]:
    """What a compound packet says, as far as this bridge uses it; the rest is passed over.

    Raises:
        PacketError: the lengths inside do not fit.
    """
    found: list[SenderReport | Nack | KeyframeRequest | Bye] = []
    for kind, count, body in _packets(data):
        if kind == SR and len(body) >= 24:
            ssrc, ntp, timestamp = struct.unpack_from("!IQI", body)
            found.append(SenderReport(ssrc, ntp, timestamp))
        elif kind == BYE and len(body) >= 4 * count:
            found.append(Bye(struct.unpack_from(f"!{count}I", body)))
        elif kind == RTPFB and count == NACK_FORMAT and len(body) >= 8:
            found.append(Nack(_word(body, 4), tuple(islice(_nacked(body[8:]), MOST_NACKED))))
        elif kind == PSFB and count == PLI_FORMAT and len(body) >= 8:
            found.append(KeyframeRequest(_word(body, 4)))
        elif kind == PSFB and count == FIR_FORMAT and len(body) >= 16:
            found.append(KeyframeRequest(_word(body, 8)))
    return found


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


def receiver_report(ssrc: int) -> bytes:
    """An empty report: it must begin every compound packet of a receiver."""
    return _packet(RR, 0, struct.pack("!I", ssrc))


def source_description(ssrc: int, cname: str) -> bytes:
    item = cname.encode()[:255]
    chunk = struct.pack("!IBB", ssrc, 1, len(item)) + item
    return _packet(SDES, 1, chunk + bytes(4 - len(chunk) % 4))


def bye(ssrc: int) -> bytes:
    return _packet(BYE, 1, struct.pack("!I", ssrc))


def nack(ssrc: int, media_ssrc: int, sequences: Iterable[int]) -> bytes:
    """Ask for packets again; ``sequences`` in order, modulo 2**16."""
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
    """Ask for a keyframe (PLI)."""
    return _packet(PSFB, PLI_FORMAT, struct.pack("!II", ssrc, media_ssrc))
