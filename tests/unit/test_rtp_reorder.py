"""Packets are put in order: none waits without need, none waits indefinitely."""

from __future__ import annotations

import itertools
import random

import pytest
from edgecam_core.rtp.packet import RtpPacket
from edgecam_core.rtp.reorder import MAX_DROPOUT, MILLISECOND, ReorderBuffer

WAIT = 50 * MILLISECOND


def packet(sequence: int) -> RtpPacket:
    return RtpPacket(96, False, sequence & 0xFFFF, 0, 1, b"", {})


def take(buffer: ReorderBuffer, now: int) -> list[int | None]:
    return [each.packet.sequence if each.packet else None for each in buffer.pop(now)]


def put(buffer: ReorderBuffer, *sequences: int, now: int = 0) -> list[int | None]:
    out: list[int | None] = []
    for sequence in sequences:
        buffer.push(packet(sequence), now, now)
        out += take(buffer, now)
    return out


def test_packets_in_order_pass_at_once_even_across_the_wraparound() -> None:
    assert put(ReorderBuffer(WAIT), 65_534, 65_535, 0, 1) == [65_534, 65_535, 0, 1]


def test_reordered_packets_are_put_in_order() -> None:
    buffer = ReorderBuffer(WAIT)
    assert put(buffer, 10, 13, 12, 11, 14) == [10, 11, 12, 13, 14]
    assert buffer.counts.lost == 0


def test_a_gap_is_abandoned_after_the_wait_and_reported_once() -> None:
    buffer = ReorderBuffer(WAIT)
    assert put(buffer, 1, 5) == [1]
    assert take(buffer, WAIT - 1) == []
    assert buffer.wake_ns() == WAIT
    assert take(buffer, WAIT) == [None, 5]
    assert (buffer.counts.missing, buffer.counts.lost) == (3, 3)


def test_duplicates_and_late_ones_are_dropped() -> None:
    buffer = ReorderBuffer(WAIT)
    put(buffer, 1, 2, 4)
    assert put(buffer, 4, 2) == []
    take(buffer, WAIT)
    assert put(buffer, 3, now=WAIT) == []
    assert (buffer.counts.duplicate, buffer.counts.late) == (1, 2)


def test_missing_packets_are_requested_until_they_arrive() -> None:
    buffer = ReorderBuffer(WAIT)
    put(buffer, 1, 4)
    assert buffer.due_requests(0) == []  # they may only be reordered
    assert buffer.due_requests(2 * MILLISECOND) == [2, 3]
    assert buffer.due_requests(3 * MILLISECOND) == []
    assert put(buffer, 2, now=4 * MILLISECOND) == [2]
    assert buffer.due_requests(30 * MILLISECOND) == [3]
    assert buffer.counts.recovered == 1
    assert buffer.round_trip_ns < 8 * MILLISECOND


def test_a_stray_packet_changes_nothing_and_two_in_sequence_start_over() -> None:
    buffer = ReorderBuffer(WAIT)
    assert put(buffer, 1, 2, 30_000, 3) == [1, 2, 3]
    assert put(buffer, 30_001) == []
    assert put(buffer, 30_002, 30_003) == [None, 30_001, 30_002, 30_003]
    assert buffer.counts.resynchronised == 1


def test_a_sender_that_starts_over_with_low_numbers_is_followed() -> None:
    buffer = ReorderBuffer(WAIT)
    put(buffer, *range(5000, 5010))
    assert put(buffer, 0, 1, 2) == [None, 0, 1, 2]


def test_packets_lost_in_an_outage_are_not_requested_and_block_nothing() -> None:
    buffer = ReorderBuffer(WAIT)
    put(buffer, 1)
    assert put(buffer, 2000, now=100 * WAIT) == [None, 2000]
    assert buffer.due_requests(100 * WAIT + 2 * MILLISECOND) == []
    assert (buffer.counts.missing, buffer.counts.lost) == (1998, 1998)


def test_very_late_retransmissions_do_not_turn_the_stream_back() -> None:
    buffer = ReorderBuffer(WAIT)
    put(buffer, 1, 5)
    assert buffer.due_requests(2 * MILLISECOND) == [2, 3, 4]
    take(buffer, WAIT)
    put(buffer, *range(6, 2000), now=WAIT)
    assert put(buffer, 2, 3, 4, 2000, now=WAIT) == [2000]
    assert (buffer.counts.late, buffer.counts.resynchronised) == (3, 0)


def test_a_lost_last_packet_is_requested() -> None:
    buffer = ReorderBuffer(WAIT)
    put(buffer, 7)
    buffer.expect_more(0)
    assert buffer.due_requests(2 * MILLISECOND) == [8]
    assert put(buffer, 8, now=3 * MILLISECOND) == [8]


def test_random_traffic_is_bounded_and_always_comes_out_in_order() -> None:
    chance = random.Random(2)
    buffer = ReorderBuffer(WAIT)
    order: list[int] = []
    for step in range(20_000):
        sequence = chance.randrange(65_536) if chance.random() < 0.05 else step + chance.randrange(-20, 20)
        buffer.push(packet(sequence), step * MILLISECOND, 0)
        order += [each.packet.sequence for each in buffer.pop(step * MILLISECOND) if each.packet]
        assert len(buffer._held) <= MAX_DROPOUT + 2
    forward = sum(1 for one, two in itertools.pairwise(order) if 0 < (two - one) % 65_536 < 32_768)
    assert len(order) > 5_000
    assert forward > 0.99 * (len(order) - 1)


def timed(sequence: int, timestamp: int) -> RtpPacket:
    return packet(sequence)._replace(timestamp=timestamp)


@pytest.mark.parametrize("back", [10, 99, 500, 20_000])
def test_a_sequence_that_steps_back_starts_over_with_its_second_packet(back: int) -> None:
    buffer = ReorderBuffer(WAIT)
    for number in range(1000, 2000):
        buffer.push(timed(number, number), 0, 0)
    assert len(take(buffer, 0)) == 1000
    out: list[int | None] = []
    for number in range(2000 - back, 2000 - back + 5):
        buffer.push(timed(number, 100_000 + number), 0, 0)
        out += take(buffer, 0)
    assert out == [None, *(number & 0xFFFF for number in range(2000 - back, 2000 - back + 5))]
    assert buffer.counts.resynchronised == 1


def test_old_copies_do_not_start_over_unless_nothing_else_arrives() -> None:
    buffer = ReorderBuffer(WAIT)
    for number in range(1000):
        buffer.push(timed(number, number), 0, 0)
        if number > 300:
            buffer.push(timed(number - 300, number - 300), 0, 0)  # a network that repeats packets late
    assert len(take(buffer, 0)) == 1000
    assert buffer.counts.resynchronised == 0
    for number in range(200):  # a recording that is played in a loop
        buffer.push(timed(number, number), 0, 0)
    assert take(buffer, 0)[-1] == 199
