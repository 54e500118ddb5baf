"""Sender and receiver with a bad network between them: what is shown is right, and it comes back."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from edgecam_core.rtp.assembler import Gate
from edgecam_core.rtp.codecs import CODECS, Codec
from edgecam_core.rtp.decoders import choose
from edgecam_core.rtp.decoding import DecoderPipeline
from edgecam_core.rtp.intake import Intake
from edgecam_core.rtp.packetiser import Packetiser
from edgecam_core.rtp.receiver import Receiver
from edgecam_core.rtp.relay import Conditions, Relay
from edgecam_core.rtp.reorder import MILLISECOND
from rtp_scene import Feed, Reader, coded_stream, free_port, index_of, picture, psnr, receiving, sending, wait_until

SENDER = ("127.0.0.1", 9)


@contextmanager
def link(
    conditions: Conditions, sender: dict[str, object] | None = None, **values: object
) -> Iterator[tuple[Relay, Feed, Receiver, Reader]]:
    """A sender, the bad network, a receiver; a long patience, so that a busy test machine is no network trouble."""
    port = free_port()
    with (
        receiving(port, latency=400, **values) as (receiver, reader),
        Relay(("127.0.0.1", port), conditions=conditions) as relay,
        sending(relay.port, mtu=250, **sender or {}) as feed,  # small packets: many of them per picture
    ):
        yield relay, feed, receiver, reader


def assert_all_right(feed: Feed, reader: Reader) -> None:
    """Every picture shown is the one its stamp belongs to, and looks like it."""
    assert reader.newest is not None
    for stamp, index, _ in reader.seen:
        assert feed.stamps[stamp] % 256 == index
    assert min(reader.quality(feed.stamps)) > 28


def test_parity_repairs_a_link_on_which_nobody_can_answer() -> None:
    with link(Conditions(loss=0.03), feedback=False, redundancy=True, sender={"redundancy": 50}) as scene:
        _, feed, receiver, reader = scene
        wait_until(lambda: len(feed.stamps) >= 120)
        wait_until(lambda: reader.seen and feed.stamps[reader.seen[-1][0]] >= 110, what="the last pictures")
        stats = receiver.stats()
    assert_all_right(feed, reader)
    assert stats.recovered > 0
    assert stats.lost <= stats.missing // 10
    assert len(reader.seen) >= 90


def test_without_talking_back_nothing_wrong_is_shown() -> None:
    with link(Conditions(loss=0.02), feedback=False) as (_, feed, receiver, reader):
        wait_until(lambda: len(feed.stamps) >= 150)
        stats = receiver.stats()
    assert stats.lost > 0
    assert stats.refused > 0
    if reader.seen:
        assert_all_right(feed, reader)


def test_a_flood_of_rubbish_beside_the_stream_is_counted_and_harmless() -> None:
    chance = random.Random(3)
    port = free_port()
    with receiving(port) as (receiver, reader), sending(port) as feed:
        wait_until(lambda: len(reader.seen) >= 3)
        import socket

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            for number in range(2000):
                out.sendto(chance.randbytes(chance.randrange(1400)), ("127.0.0.1", port + number % 2))
                if number % 50 == 0:
                    time.sleep(0.005)
        shown = len(reader.seen)
        wait_until(lambda: len(reader.seen) >= shown + 20)
        stats = receiver.stats()
    assert_all_right(feed, reader)
    assert stats.troubles["not RTP"] > 500
    assert stats.streams == 1


@pytest.mark.parametrize("codec", ["h265", "h264"])
def test_a_hundred_thousand_mutated_packets_do_no_harm(codec: str) -> None:
    form = CODECS[codec]
    chance = random.Random(6)
    units = coded_stream(20, codec)
    packetiser = Packetiser(form, 96, 700)
    good = [data for nals, stamp in units for _, data in packetiser.packets(nals, stamp)]
    intake, gate = Intake(form, 96, 20 * MILLISECOND), Gate(form)
    decoder = DecoderPipeline(choose("auto", codec))
    now = shown = 0
    try:
        for number in range(50_000):  # twice, once per codec
            now += MILLISECOND // 2
            for unit in intake.datagram(mutated(chance, good, number), SENDER, now, now) + intake.tick(now):
                if (nals := gate.admit(unit)) is not None and number % 10 == 0:
                    decoder.push(nals, number, 0, 0)
            while decoder.pull(0.0) is not None:
                shown += 1
            if number % 5000 == 0:
                assert_small(intake)
        healthy(form, units, intake, gate, now)
    finally:
        decoder.stop()


def mutated(chance: random.Random, good: list[bytes], number: int) -> bytes:
    data = bytearray(good[number % len(good)])
    for _ in range(chance.choice((0, 1, 1, 2, 8))):
        data[chance.randrange(len(data)) if chance.random() < 0.5 else chance.randrange(40)] = chance.randrange(256)
    if chance.random() < 0.2:
        del data[chance.randrange(len(data)) :]
    elif chance.random() < 0.05:
        data += chance.randbytes(chance.randrange(2000))
    return bytes(data)


def assert_small(intake: Intake) -> None:
    assert len(intake.counts) < 150  # at most one per payload type and kind of trouble
    assert len(intake._candidates) <= 8
    if intake.stream is not None:
        assert len(intake.stream.buffer._held) < 3100
        assert len(intake.stream.buffer._missing) < 3100


def healthy(form: Codec, units: list[tuple[list[bytes], int]], intake: Intake, gate: Gate, now: int) -> None:
    """A clean stream afterwards is decoded completely and correctly from its first keyframe on."""
    now += 1_000 * MILLISECOND
    intake.finish(now)  # what was left of the mutated stream
    fresh = Packetiser(form, 96, 700)
    decoder = DecoderPipeline(choose("auto", form.name))
    shown: list[tuple[int, int]] = []
    try:
        for nals, stamp in units:
            for _, data in fresh.packets(nals, stamp):
                for unit in intake.datagram(data, SENDER, now, now):
                    admitted = gate.admit(unit)
                    assert admitted is not None
                    assert unit.stamp_ns is not None
                    decoder.push(admitted, len(shown), unit.stamp_ns, 0)
                    got = wait_until(lambda: decoder.pull(0.5))
                    shown.append((got.stamp_ns, index_of(got.bgr)))
                    assert psnr(got.bgr, picture(len(shown) - 1)) > 28
        assert shown == [(stamp, number) for number, (_, stamp) in enumerate(units)]
    finally:
        decoder.stop()
