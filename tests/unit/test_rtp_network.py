"""Sender and receiver over a bad network: frames that are shown are correct, and the stream recovers."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from edgecam_core.media.codecs import CODECS
from edgecam_core.rtp.packetiser import Packetiser
from edgecam_core.rtp.receiver import Receiver
from edgecam_core.rtp.relay import Conditions, Fate, Relay
from edgecam_core.rtp.rtp_session import RtpSession
from network import free_udp_port
from rtp_scene import FrameSource, Reader, coded_stream, pixels_of, psnr, receiving, sending
from waiting import wait_until


@contextmanager
def link(
    conditions: Conditions, sender: dict[str, object] | None = None, **values: object
) -> Iterator[tuple[Relay, FrameSource, Receiver, Reader]]:
    """A sender, a bad network, a receiver; with long timeouts, so that a busy machine is not taken for packet loss."""
    port = free_udp_port()
    with (
        receiving(port, latency=2000, **values) as (receiver, reader),
        Relay(("127.0.0.1", port), conditions=conditions) as relay,
        sending(relay.port, rate=60, mtu=200, **sender or {}) as feed,  # small packets: many of them per frame
    ):
        yield relay, feed, receiver, reader


def assert_all_right(feed: FrameSource, reader: Reader) -> None:
    """Every frame shown matches its stamp and its original."""
    assert reader.newest is not None
    for stamp, index, _ in reader.seen:
        assert feed.stamps[stamp] % 256 == index
    assert min(reader.quality(feed.stamps)) > 28


class EveryFourth(Fate):
    """Loses every fourth datagram: parity packets (half as many as packets) can repair every block."""

    def __init__(self) -> None:
        super().__init__(seed=0)
        self._count = 0

    def delays(self, conditions: Conditions, loss: float) -> list[float]:
        self._count += 1
        return [] if self._count % 4 == 0 else [0.0]


def test_parity_repairs_a_link_without_a_return_path() -> None:
    with link(Conditions(), feedback=False, redundancy=True, sender={"redundancy": 50}) as (relay, *scene):
        relay._there[0] = EveryFourth()  # of the frames' packets, from the first one on
        feed, receiver, reader = scene
        wait_until(lambda: len(reader.seen) >= 100)
        stats = receiver.stats()
    assert_all_right(feed, reader)
    assert stats.recovered > 5
    assert (stats.lost, stats.refused) == (0, 0)


def test_without_feedback_no_damaged_frame_is_shown() -> None:
    with link(Conditions(loss=0.05), feedback=False) as (_, feed, receiver, reader):
        wait_until(lambda: len(feed.stamps) >= 60 and receiver.stats().lost and receiver.stats().refused, timeout=60.0)
    if reader.seen:
        assert_all_right(feed, reader)


def test_a_flood_of_garbage_next_to_the_stream_is_counted_and_harmless() -> None:
    chance = random.Random(3)
    port = free_udp_port()
    with receiving(port) as (receiver, reader), sending(port) as feed:
        wait_until(lambda: len(reader.seen) >= 3)
        with socket.socket(type=socket.SOCK_DGRAM) as out:
            for number in range(2000):
                out.sendto(chance.randbytes(chance.randrange(1400)), ("127.0.0.1", port + number % 2))
                if number % 50 == 0:
                    time.sleep(0.005)
        shown = len(reader.seen)
        wait_until(lambda: len(reader.seen) >= shown + 20)
        stats = receiver.stats()
    assert_all_right(feed, reader)
    assert stats.errors["not RTP"] > 500
    assert stats.streams == 1


@pytest.mark.parametrize("codec", ["h265", "h264"])
def test_a_hundred_thousand_mutated_packets_do_no_harm(codec: str) -> None:
    chance = random.Random(6)
    units = coded_stream(2 * KEYFRAMES, codec, KEYFRAMES)
    port = free_udp_port()
    good = packets(codec, units)
    with receiving(port, codec=codec, latency=20) as (receiver, reader), socket.socket(type=socket.SOCK_DGRAM) as out:
        out.connect(("127.0.0.1", port))
        for number in range(MUTATED):
            out.send(mutated(chance, good[number % len(good)]))
            if number % 100 == 0:  # at most 100 wait in the socket, so that none is dropped there
                wait_until(lambda number=number: receiver._meter.datagrams >= number)
            if number % 5000 == 0:
                assert_small(receiver._session)
        wait_until(lambda: receiver._meter.datagrams == MUTATED, what="the last mutated packet to be read")
        heal(receiver, reader, out, codec, units)


MUTATED = 50_000  # packets of each codec
KEYFRAMES = 10  # keyframe interval of a coded stream, in frames


def packets(codec: str, units: list[tuple[list[bytes], int]]) -> list[bytes]:
    packetiser = Packetiser(CODECS[codec], 96, 700)
    return [data for nals, stamp in units for _, data in packetiser.packets(nals, stamp)]


def mutated(chance: random.Random, packet: bytes) -> bytes:
    data = bytearray(packet)
    for _ in range(chance.choice((0, 1, 1, 2, 8))):
        end = len(data) if chance.random() < 0.5 else min(40, len(data))
        data[chance.randrange(end)] = chance.randrange(256)
    if chance.random() < 0.2:
        del data[chance.randrange(len(data)) :]
    elif chance.random() < 0.05:
        data += chance.randbytes(chance.randrange(2000))
    return bytes(data)


def assert_small(session: RtpSession) -> None:
    assert len(session.counts) < 150  # at most one per payload type and problem
    assert len(session._candidates) <= 8
    if session.stream is not None:
        assert len(session.stream.buffer._held) < 3100
        assert len(session.stream.buffer._missing) < 3100


def heal(
    receiver: Receiver, reader: Reader, out: socket.socket, codec: str, units: list[tuple[list[bytes], int]]
) -> None:
    """The same receiver and its decoder show a clean stream: finally all frames of a keyframe interval, correctly.

    A decoder that stalled on the mutated stream may be replaced at any time, which loses the rest of the interval (a
    real sender would get a keyframe request). So the clean stream continues until one interval is complete.
    """
    wait_until(lambda: receiver.stats().state == "silent", what="the end of the mutated stream")
    packetiser, streams, shown = Packetiser(CODECS[codec], 96, 700), receiver.stats().streams, len(reader.seen)
    sent: dict[int, int] = {}  # stamp: number

    def send_next() -> None:
        rounds, number = divmod(len(sent), len(units))
        nals, stamp = units[number]
        stamp += rounds * (units[-1][1] - units[0][1] + 40_000_000)
        sent[stamp] = number
        for _, data in packetiser.packets(nals, stamp):
            out.send(data)

    def whole_interval() -> bool:
        for _ in units:
            seen = len(reader.seen)
            send_next()
            with suppress(pytest.fail.Exception):  # one by one: a receiver drops frames that its reader leaves waiting
                wait_until(lambda seen=seen: len(reader.seen) > seen, 0.2)
        expected = list(sent)[-KEYFRAMES:]
        with suppress(pytest.fail.Exception):
            wait_until(lambda: [stamp for stamp, *_ in reader.seen[-KEYFRAMES:]] == expected, 5.0)
            return True
        return False

    wait_until(whole_interval, 120, "a keyframe interval without a gap")
    assert reader.newest is not None
    assert psnr(reader.newest.bgr(), pixels_of(len(units) - 1)) > 28
    assert [number for _, number, _ in reader.seen[shown:]] == [sent[stamp] for stamp, *_ in reader.seen[shown:]]
    assert receiver.stats().streams == streams + 1

    def running() -> bool:
        send_next()
        return receiver.stats().state == "running"

    wait_until(running, what="a running stream")  # a slow machine's stream is silent a while after its last packet
