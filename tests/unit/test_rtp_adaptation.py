"""An adaptive link: the controller on a simulated link, the messages, and a real sender with a slow relay."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from edgecam_core.errors import SettingError
from edgecam_core.rtp import rtcp
from edgecam_core.rtp.adaptation import Adaptation
from edgecam_core.rtp.arrivals import PacketArrivals
from edgecam_core.rtp.rate_control import Acknowledged, RateController, should_change
from edgecam_core.rtp.relay import Conditions, Relay
from edgecam_core.rtp.retransmission import Retransmitter
from edgecam_core.rtp.sender import Sender
from edgecam_core.rtp.settings import SenderSettings
from edgecam_core.types import Frame
from network import free_udp_port
from rtp_scene import pixels_of, receiving
from simulated_link import Flow, run
from waiting import wait_until

MBIT = 1e6

ADDRESS = ("192.0.2.7", 4000)


def steps(now: float) -> float:
    return (8 if now < 10 else 1.5 if now < 20 else 0.7 if now < 30 else 8) * MBIT


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("live", [True, False])
def test_the_rate_follows_the_link(live: bool, seed: int) -> None:
    one = Flow(live=live)
    run([one], 40, steps, seed=seed, jitter=0.005)
    for begin, capacity in ((0, 8), (10, 1.5), (20, 0.7), (30, 8)):
        settled = begin + 2, begin + 10
        assert 0.75 * capacity * MBIT < one.rate(*settled) < 1.1 * capacity * MBIT
        given = sum(settled[0] <= at < settled[1] for at in one.given)
        complete = [age for at, age in one.ages if settled[0] <= at < settled[1] and age < 0.45]
        assert len(complete) >= 0.95 * given
        assert one.age(*settled, 0.95) < 0.35
    assert one.rate(34, 40) > 0.9 * one.rate(2, 10)  # recovered within 4 s


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("capacity", "begin"), [(2.0, 0.0), (4.0, 0.0), (4.0, 12.0)])
def test_two_streams_share_a_link_within_thirty_percent(capacity: float, begin: float, seed: int, live: bool) -> None:
    """Both from the start, or the second one later, on a link filled by the first."""
    pair = [Flow(live=live), Flow(live=live, begin=begin)]
    run(pair, begin + 28, lambda now: capacity * MBIT, loss=0.0, seed=seed, jitter=0.005)
    rates = [each.rate(begin + 10, begin + 28) for each in pair]
    assert sum(rates) > 0.85 * capacity * MBIT
    assert 2 * max(rates) / sum(rates) < 1.25


def test_loss_alone_lowers_the_rate_only_where_it_is_high() -> None:
    few, many = Flow(), Flow()
    run([few], 20, lambda now: 20 * MBIT, loss=0.01)
    run([many], 20, lambda now: 20 * MBIT, loss=0.15)
    assert few.target(10, 20) > 7.5 * MBIT
    assert many.target(10, 20) < 5 * MBIT


def test_a_scene_that_needs_few_bits_does_not_lower_the_target() -> None:
    quiet = Flow(use=0.2)
    run([quiet], 20, lambda now: 20 * MBIT)
    assert quiet.target(15, 20) > 7 * MBIT


def test_receiver_reports_without_rfc_8888_count_too() -> None:
    adaptation = Adaptation(1 * MBIT, 8 * MBIT)
    for second in range(10):
        adaptation.report(rtcp.ReportBlock(1, 0.3), ADDRESS, float(second))
    assert adaptation.target(10.0) < 3 * MBIT
    for second in range(10, 60):
        adaptation.report(rtcp.ReportBlock(1, 0.0), ADDRESS, float(second))
    assert adaptation.target(60.0) == 8 * MBIT


def report_all(adaptation: Adaptation, arrivals: PacketArrivals, now: float) -> None:
    came = arrivals.report(int(now * 1e9))
    assert came is not None
    (message,) = rtcp.parse(rtcp.congestion_feedback(5, 9, *came, now + 65_000.0))
    assert isinstance(message, rtcp.CongestionFeedback)
    adaptation.feedback(message, ADDRESS, now + 0.02)


def test_a_silent_receiver_lowers_the_rate_and_its_return_raises_it() -> None:
    adaptation, arrivals, now, sequence = Adaptation(1 * MBIT, 8 * MBIT), PacketArrivals(), 100.0, 65_000

    def stream(seconds: float) -> None:
        nonlocal now, sequence
        end = now + seconds
        while now < end:
            for _ in range(40):
                adaptation.sent(sequence & 0xFFFF, 1200, now)
                arrivals.note(sequence & 0xFFFF, int((now + 0.02) * 1e9))
                sequence += 1
                now += 0.00125
            report_all(adaptation, arrivals, now + 0.02)

    stream(3)
    assert adaptation.target(now) == 8 * MBIT
    for _ in range(50):
        now += 0.1
        adaptation.target(now)
    assert adaptation.target(now) == 1 * MBIT
    stream(10)
    assert adaptation.target(now) > 7 * MBIT


def test_retransmissions_never_fill_a_slow_link() -> None:
    adaptation = Adaptation(0.3 * MBIT, 8 * MBIT)
    adaptation.limit(0.3 * MBIT, 0.7 * MBIT)
    octets = 0
    for millisecond in range(2000):  # a receiver requests every packet repeatedly
        for sequence in range(5):
            octets += 1200 * adaptation.may_retransmit(sequence, 1200, 10 + millisecond / 1000)
    assert 0.15 * 0.7 * MBIT < octets * 8 / 2 < 0.4 * 0.7 * MBIT


def test_a_packet_is_not_retransmitted_while_the_last_copy_may_be_in_transit() -> None:
    made = Retransmitter()
    for sequence in range(100):
        made.sent(sequence, b"packet")
    asked = [len(made.take([7], ADDRESS, 1 + millisecond / 1000, pause=0.2)) for millisecond in range(1000)]
    assert sum(asked) == 5


def test_retransmitted_packets_count_as_arrived_but_give_no_delay() -> None:
    controller = RateController(0.3 * MBIT, 8 * MBIT)
    for number in range(40):
        now = 1 + number / 20
        first = [Acknowledged(now - 0.03, now, 1200) for _ in range(2)]
        again = [Acknowledged(now - 0.9, now, 1200, retransmitted=True) for _ in range(2)]
        controller.feedback([*first, *again], now, 0.06)
    assert controller.estimate == pytest.approx(4 * 20 * 1200 * 8, rel=0.15)
    assert controller.queuing_delay < 0.001
    assert controller.loss == pytest.approx(0.5, abs=0.05)


def test_congestion_feedback_reports_arrivals_and_their_times() -> None:
    ages = [0.5, None, 0.25, 0.0, 7.9]
    (message,) = rtcp.parse(rtcp.receiver_report(5) + rtcp.congestion_feedback(5, 9, 65_534, ages, 70_000.5))
    assert isinstance(message, rtcp.CongestionFeedback)
    assert message.media_ssrc == 9
    assert message.reported_at == pytest.approx(70_000.5 - 65_536, abs=1e-4)
    assert [sequence for sequence, _ in message.arrivals] == [65_534, 65_535, 0, 1, 2]
    for (_, found), age in zip(message.arrivals, ages, strict=True):
        assert (found is None) == (age is None)
        assert age is None or found == pytest.approx(age, abs=0.001)


def test_report_blocks_are_read() -> None:
    block = rtcp.report_block(9, 0.25, -3, 70_000, 12)
    assert rtcp.parse(rtcp.receiver_report(5, block)) == [rtcp.ReportBlock(9, 0.25)]


def test_encoders_that_restart_change_less_often() -> None:
    assert should_change(1e6, 0.9e6, 0.2, is_free=True)
    assert not should_change(1e6, 0.94e6, 10.0, is_free=False)
    assert not should_change(1e6, 0.5e6, 0.1, is_free=False)
    assert should_change(1e6, 0.9e6, 0.3, is_free=False)
    assert should_change(1e6, 1.1e6, 0.3, is_free=False)


def test_bitrate_min_must_not_exceed_bitrate() -> None:
    with pytest.raises(SettingError, match="'bitrate_min' is 3000000: must not exceed bitrate"):
        SenderSettings(bitrate=2_000_000, bitrate_min=3_000_000)


class Noise:
    """Numbered frames that take all the bits they can get, sent at 30 Hz."""

    def __init__(self, sender: Sender) -> None:
        self.stamps: dict[int, int] = {}
        self._sender = sender
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        chance = np.random.default_rng(1)
        noise = [chance.integers(0, 90, (208, 320, 3), dtype=np.uint8) for _ in range(16)]
        number = 0
        while not self._stop.wait(1 / 30):
            pixels = pixels_of(number)
            pixels[32:] += noise[number % 16]
            stamp = 1_700_000_000_000_000_000 + number * 33_333_333
            self.stamps[stamp] = number % 256
            self._sender.send(Frame.from_array(pixels, "bgr8", stamp, "camera"))
            number += 1

    def close(self) -> None:
        self._stop.set()
        self._thread.join(60)


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_a_real_sender_follows_its_link_down_and_up_again(codec: str) -> None:
    """The link gets a quarter of what this machine's encoder sends: a slow machine sends far less than ``bitrate``."""
    port = free_udp_port()
    with (
        receiving(port, codec=codec, latency=300) as (_, reader),
        Relay(("127.0.0.1", port), conditions=Conditions(delay=0.02)) as relay,
    ):
        settings = SenderSettings(port=relay.port, codec=codec, bitrate=4_000_000, bitrate_min=100_000)
        sender = Sender(settings)
        sender.start()
        feed = Noise(sender)
        try:
            wait_until(lambda: len(reader.seen) > 60, timeout=120.0)
            full, fast = sender.stats().bitrate, list(reader.seen)
            link = max(250_000, full / 4)
            relay.conditions = Conditions(delay=0.02, rate=link)
            wait_until(lambda: sender.stats().target_bitrate < 1.5 * link, timeout=120.0, what="a lower rate")
            shown = len(reader.seen)
            wait_until(lambda: len(reader.seen) > shown + 30, timeout=120.0, what="frames on the slow link")
            assert sender.stats().estimated_bitrate > 0
            relay.conditions = Conditions(delay=0.02)
            # How far it rises depends on the machine, whose own delays count as the link's: see the tests above.
            wait_until(lambda: sender.stats().target_bitrate > 1.5 * link, timeout=300.0, what="a higher rate again")
        finally:
            feed.close()
            sender.stop()
    stamps = [stamp for stamp, _, _ in reader.seen]
    assert stamps == sorted(set(stamps))
    assert set(stamps) <= feed.stamps.keys()
    # Not the numbers in later frames: with too few bits x264 codes a keyframe in plain grey.
    wrong = [(feed.stamps[stamp], index) for stamp, index, _ in fast if feed.stamps[stamp] != index]
    assert not wrong, "numbers of the stamps, and of the frames"
