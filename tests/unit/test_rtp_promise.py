"""What the bridge promises of lossy links: the real sender and receiver with a relay between them.

All tests share one stream; each leaves it running. Disturbances are judged in frames, not seconds. The receiver would
wait longer than promised, so that a busy machine loses nothing; how long it did wait is judged while the machine keeps
up.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from edgecam_core.rtp.receiver import Receiver
from edgecam_core.rtp.relay import Conditions, Relay
from edgecam_core.rtp.sender import Sender
from edgecam_core.rtp.settings import ReceiverSettings, SenderSettings
from edgecam_core.types import Frame
from network import free_udp_port
from rtp_scene import FIRST_STAMP, index_of, pixels_of, psnr
from waiting import wait_until

RATE, INTERVAL = 60, 15
PROMISED_MS, PATIENCE_MS = 60, 400
BUSY = 1.0  # seconds per second; on a machine as busy as that nobody can answer in time
GOOD_DB = 28.0  # right frames have 35 dB and more here, grey invented ones less than 20
_noise = np.random.default_rng(1).integers(0, 255, (240, 448), np.uint8)
TEXTURE = (cv2.GaussianBlur(_noise, (0, 0), 1.5).astype(np.int16) - 127) * 3 // 2


def textured(number: int) -> np.ndarray:
    """A numbered frame that takes about fifteen packets of 250 bytes."""
    bgr = pixels_of(number).astype(np.int16)
    bgr[32:] += TEXTURE[32:, number % 128 : number % 128 + 320, None]
    return np.clip(bgr, 0, 255).astype(np.uint8)


class Seen(NamedTuple):
    number: int
    age_ms: float
    quality: float


class Phase(NamedTuple):
    """What became of some consecutive frames, and how much their threads had to wait for a processor meanwhile."""

    share: float
    ages_ms: np.ndarray
    octets: float  # per frame
    waited: float  # seconds of all threads per second


def waited_seconds() -> float:
    """How long the threads of this process have been ready to run without a processor, all together."""
    waits = (Path(f"/proc/self/task/{thread}/schedstat") for thread in os.listdir("/proc/self/task"))
    return sum(int(wait.read_text().split()[1]) for wait in waits if wait.exists()) / 1e9


class Stream:
    """Sends numbered frames, each when the one before is coded, and judges every frame that comes out."""

    def __init__(self) -> None:
        self.port = free_udp_port()
        self.next = 0
        self.seen: list[Seen] = []
        self.wrong = 0  # frames with another one's stamp
        self._handed: dict[int, tuple[int, float]] = {}
        self._stop = threading.Event()
        self.receiver = self._new_receiver()
        self.relay = Relay(("127.0.0.1", self.port))
        self.sender = self._new_sender()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._feed, self._read)]
        for thread in self._threads:
            thread.start()
        self.settle()
        self.clean = self.phase(Conditions(), 100)

    def _new_receiver(self) -> Receiver:
        receiver = Receiver(ReceiverSettings(port=self.port, latency=PATIENCE_MS))
        receiver.start()
        return receiver

    def _new_sender(self) -> Sender:
        values = {"mtu": 250, "bitrate": 1_500_000, "framerate": RATE, "keyframe_interval": INTERVAL}
        sender = Sender(SenderSettings(port=self.relay.port, **values))
        sender.start()
        return sender

    def _feed(self) -> None:
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + 1 / RATE, time.monotonic())
            stamp = FIRST_STAMP + self.next * 16_666_667 + self.next * 7919 % 4_000_000
            sender = self.sender
            self._handed[stamp] = self.next, time.monotonic()
            sender.send(Frame.from_array(textured(self.next), "bgr8", stamp, "camera"))
            self.next += 1
            while sender is self.sender and sender._unanswered_since and not self._stop.wait(0.001):
                pass

    def _read(self) -> None:
        while not self._stop.is_set():
            frame = self.receiver.read(0.1)
            if frame is not None:
                number, handed = self._handed[frame.stamp_ns]
                self.wrong += index_of(frame.bgr()) != number % 256
                now = time.monotonic()
                quality = psnr(frame.bgr()[::2, ::2], textured(number)[::2, ::2])
                self.seen.append(Seen(number, 1000 * (now - handed), quality))

    def settle(self) -> int:
        """Wait until what is sent now comes out; the number of the first frame that did."""
        begin = self.next
        wait_until(lambda: self.seen and self.seen[-1].number >= begin, what="frames")
        return next(one.number for one in self.seen if one.number >= begin)

    def phase(self, conditions: Conditions, count: int) -> Phase:
        now, waited = time.monotonic(), waited_seconds()
        begin, sent, octets = self.next, self.sender.stats().frames_sent, self.relay.octets
        self.relay.conditions = conditions
        wait_until(lambda: self.next >= begin + count)
        end = self.next
        self.relay.conditions = Conditions()
        spent = (self.relay.octets - octets) / (self.sender.stats().frames_sent - sent)
        wait_until(lambda: self.seen[-1].number >= end, what="the last frames")
        seen = [one for one in self.seen if begin <= one.number < end]
        waited = (waited_seconds() - waited) / (time.monotonic() - now)
        return Phase(len(seen) / (end - begin), np.array([one.age_ms for one in seen]), spent, waited)

    def restart_sender(self) -> int:
        """Kill the sender so that its goodbye is not heard, and start another; the number of its first frame."""
        self.relay.conditions = Conditions(down=True)
        old, begin = self.sender, self.next
        silent = time.monotonic() + 0.4  # a process takes longer than that to come back
        old.stop()
        wait_until(lambda: time.monotonic() >= silent)
        self.relay.conditions = Conditions()
        self.sender = self._new_sender()
        return begin

    def restart_receiver(self) -> None:
        old = self.receiver
        old.stop()
        self.receiver = self._new_receiver()

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)
        self.sender.stop()
        self.receiver.stop()
        self.relay.close()


@pytest.fixture(scope="module")
def stream() -> Iterator[Stream]:
    made = Stream()
    try:
        yield made
        assert made.wrong == 0
        assert min(one.quality for one in made.seen) > GOOD_DB
        assert [one.number for one in made.seen] == sorted({one.number for one in made.seen})
    finally:
        made.close()


@pytest.mark.parametrize(
    ("conditions", "share"),
    [
        (Conditions(loss=0.001, back_loss=0.001), 0.99),
        (Conditions(loss=0.01, back_loss=0.01), 0.99),
        (Conditions(loss=0.05, back_loss=0.05), 0.95),
        (Conditions(loss=0.05, burst=5, back_loss=0.05), 0.90),
        (Conditions(jitter=0.02), 0.99),
        (Conditions(loss=0.01, back_loss=0.01, delay=0.01, jitter=0.01, duplicate=0.02), 0.95),
    ],
    ids=["0.1 %", "1 %", "5 %", "bursts of 5 at 5 %", "20 ms jitter", "everything"],
)
def test_good_frames_bitrate_and_latency(stream: Stream, conditions: Conditions, share: float) -> None:
    dropped, repaired = stream.relay.dropped, stream.receiver.stats().recovered
    phase = stream.phase(conditions, 100)
    assert phase.share >= share
    assert phase.octets <= 1.5 * stream.clean.octets
    if phase.waited < BUSY > stream.clean.waited:
        link_ms = 1000 * (conditions.delay + conditions.jitter)
        assert np.percentile(phase.ages_ms, 100 * share) <= np.median(stream.clean.ages_ms) + link_ms + PROMISED_MS
    assert stream.relay.dropped > dropped or not conditions.loss
    assert stream.receiver.stats().recovered > repaired


def test_after_an_outage_of_three_seconds(stream: Stream) -> None:
    stream.relay.conditions = Conditions(down=True)
    end = time.monotonic() + 3.0
    wait_until(lambda: time.monotonic() >= end)
    assert stream.receiver.stats().problem.startswith("no stream")
    begin = stream.next
    stream.relay.conditions = Conditions()
    assert stream.settle() <= begin + INTERVAL


def test_after_a_sender_was_killed_and_another_started(stream: Stream) -> None:
    begin, streams = stream.restart_sender(), stream.receiver.stats().streams
    assert stream.settle() <= begin + INTERVAL
    assert stream.receiver.stats().streams == streams + 1


def test_a_receiver_that_starts_late(stream: Stream) -> None:
    stream.restart_receiver()
    begin = stream.next
    assert stream.settle() <= begin + INTERVAL


def test_nothing_grows(stream: Stream) -> None:
    def used() -> tuple[int, int]:
        return threading.active_count(), len(os.listdir("/proc/self/fd"))

    before = used()
    stream.restart_sender()
    stream.settle()
    stream.restart_receiver()
    stream.phase(Conditions(loss=0.3), 30)
    stream.settle()
    assert used() == before
