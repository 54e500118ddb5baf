"""Requests of receivers to a sender, and their limits."""

from __future__ import annotations

from edgecam_core.rtp import rtcp
from edgecam_core.rtp.retransmission import REQUESTS_PER_SECOND, RESEND_BURST, RESEND_SHARE, Retransmitter
from edgecam_core.rtp.token_bucket import TokenBucket

ONE, OTHER = ("192.0.2.7", 4000), ("192.0.2.8", 4000)


def filled(count: int, before: Retransmitter | None = None) -> Retransmitter:
    made = before or Retransmitter()
    for number in range(count):
        made.sent(number, b"packet")
    return made


def test_a_token_bucket_allows_its_rate_and_one_burst() -> None:
    bucket = TokenBucket(rate=10, capacity=5)
    assert sum(bucket.take(1, now / 100) for now in range(200)) == 5 + 19


def test_a_flood_of_requests_is_bounded_and_does_not_affect_others() -> None:
    made = filled(2000)
    now, sent = 0.0, 0
    for _ in range(200):  # a second of 480 x 17 sequence numbers at 200 Hz
        for start in range(0, 480 * 17, rtcp.MAX_NACKED):
            sent += len(made.take(range(start, start + rtcp.MAX_NACKED), ONE, now))
        now += 1 / 200
    assert sent <= RESEND_BURST
    assert made.refused > 1_000_000
    assert len(made.take([1, 2, 3], OTHER, now)) == 3


def test_retransmissions_are_limited_to_a_share_of_the_stream() -> None:
    made, sent, now = filled(100), 0, 0.0
    sent += len(made.take(range(100), ONE, now))
    for number in range(1000):
        made.sent(number, b"packet")
        now += 0.01
        sent += len(made.take([number], ONE, now))
    assert sent <= 1000 * RESEND_SHARE + RESEND_BURST


def test_a_message_requests_a_limited_number_of_packets() -> None:
    sequences = range(0, 20_000, 2)
    (nack,) = rtcp.parse(rtcp.nack(1, 2, sequences))
    assert isinstance(nack, rtcp.Nack)
    assert nack.sequences == tuple(sequences)[: rtcp.MAX_NACKED]
    assert rtcp.MAX_NACKED < REQUESTS_PER_SECOND


def test_messages_of_one_sender_are_limited() -> None:
    made = Retransmitter()
    assert sum(made.accepts_feedback(ONE, number / 100_000) for number in range(10_000)) < 600
    assert made.accepts_feedback(OTHER, 0.1)
