"""What the documentation promises for lossy links: the real sender and receiver with a relay between them.

All tests share one stream; each leaves it running. Disturbances are measured in frames, not seconds. The receiver waits
far longer than by default, so that a busy machine loses nothing; latencies, bitrates and shares with the default are
rows of `make bench` (rtp_good_*, rtp_bitrate_*, rtp_latency_*, rtp_recovery_*).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
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
from rtp_scene import FIRST_STAMP, decoder_is_behind, index_of, keep_every_frame, pixels_of, psnr
from waiting import wait_until

RATE, INTERVAL = 60, 15
PATIENCE_MS = 5000  # the most there is
GOOD_DB = 28.0  # correct frames have at least 35 dB here, grey frames of the decoder less than 20
_noise = np.random.default_rng(1).integers(0, 255, (240, 448), np.uint8)
TEXTURE = (cv2.GaussianBlur(_noise, (0, 0), 1.5).astype(np.int16) - 127) * 3 // 2


def textured(number: int) -> np.ndarray:
    """A numbered frame of about fifteen packets of 250 bytes."""
    bgr = pixels_of(number).astype(np.int16)
    bgr[32:] += TEXTURE[32:, number % 128 : number % 128 + 320, None]
    return np.clip(bgr, 0, 255).astype(np.uint8)


class ReceivedFrame(NamedTuple):
    number: int
    quality: float


class NumberedStream:
    """Sends numbered frames, each after the previous one is coded, and evaluates every received frame.

    A slow decoder or reader loses none: the decoder waits for the reader, and the next frame for the decoder.
    """

    def __init__(self) -> None:
        self.port = free_udp_port()
        self.next = 0
        self.seen: list[ReceivedFrame] = []
        self.wrong = 0  # frames with the stamp of another one
        self._handed: dict[int, int] = {}  # stamp: number
        self._stop = threading.Event()
        self.receiver = self._new_receiver()
        self.relay = Relay(("127.0.0.1", self.port))
        self.sender = self._new_sender()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._feed, self._read)]
        for thread in self._threads:
            thread.start()
        self.settle()

    def _new_receiver(self) -> Receiver:
        receiver = Receiver(ReceiverSettings(port=self.port, latency=PATIENCE_MS))
        receiver.start()
        keep_every_frame(receiver)
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
            self._handed[stamp] = self.next
            sender.send(Frame.from_array(textured(self.next), "bgr8", stamp, "camera"))
            self.next += 1
            while sender is self.sender and (sender._unanswered_since or decoder_is_behind(self.receiver)):
                if self._stop.wait(0.001):
                    return

    def _read(self) -> None:
        while not self._stop.is_set():
            frame = self.receiver.read(0.1)
            if frame is not None:
                number = self._handed[frame.stamp_ns]
                self.wrong += index_of(frame.bgr()) != number % 256
                self.seen.append(ReceivedFrame(number, psnr(frame.bgr()[::2, ::2], textured(number)[::2, ::2])))

    def settle(self) -> int:
        """Wait until a frame sent from now on is received; returns its number."""
        begin = self.next
        wait_until(lambda: self.seen and self.seen[-1].number >= begin, what="frames")
        return next(one.number for one in self.seen if one.number >= begin)

    def phase(self, conditions: Conditions, count: int) -> float:
        """Send at least ``count`` frames, until a packet was repaired; returns the share that arrived."""
        begin, repaired = self.next, self.receiver.stats().recovered
        self.relay.conditions = conditions
        wait_until(lambda: self.next >= begin + count and self.receiver.stats().recovered > repaired)
        end = self.next
        self.relay.conditions = Conditions()
        wait_until(lambda: self.seen[-1].number >= end, what="the last frames")
        return sum(begin <= one.number < end for one in self.seen) / (end - begin)

    def restart_sender(self) -> int:
        """Kill the sender so that its goodbye is lost, and start another; returns the number of its first frame."""
        self.relay.conditions = Conditions(down=True)
        old, begin = self.sender, self.next
        silent = time.monotonic() + 0.4  # a process takes longer than that to restart
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
            thread.join(60)
        self.sender.stop()
        self.receiver.stop()
        self.relay.close()


@pytest.fixture(scope="module")
def stream() -> Iterator[NumberedStream]:
    made = NumberedStream()
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
        (Conditions(loss=0.001, return_loss=0.001), 0.99),
        (Conditions(loss=0.01, return_loss=0.01), 0.99),
        (Conditions(loss=0.05, return_loss=0.05), 0.95),
        (Conditions(loss=0.05, burst=5, return_loss=0.05), 0.90),
        (Conditions(jitter=0.02), 0.99),
        (Conditions(loss=0.01, return_loss=0.01, delay=0.01, jitter=0.01, duplicate=0.02), 0.95),
    ],
    ids=["0.1 %", "1 %", "5 %", "bursts of 5 at 5 %", "20 ms jitter", "everything"],
)
def test_frames_are_good_under_these_conditions(stream: NumberedStream, conditions: Conditions, share: float) -> None:
    assert stream.phase(conditions, 100) >= share


def test_after_an_outage_of_three_seconds(stream: NumberedStream) -> None:
    stream.relay.conditions = Conditions(down=True)
    end = time.monotonic() + 3.0
    wait_until(lambda: time.monotonic() >= end)
    assert stream.receiver.stats().problem.startswith("no stream")
    begin = stream.next
    stream.relay.conditions = Conditions()
    assert stream.settle() <= begin + INTERVAL


def test_after_a_sender_was_killed_and_another_started(stream: NumberedStream) -> None:
    begin, streams = stream.restart_sender(), stream.receiver.stats().streams
    assert stream.settle() <= begin + INTERVAL
    assert stream.receiver.stats().streams == streams + 1


def test_a_receiver_that_starts_late(stream: NumberedStream) -> None:
    stream.restart_receiver()
    begin = stream.next
    assert stream.settle() <= begin + INTERVAL


def test_no_buffer_grows(stream: NumberedStream) -> None:
    def used() -> tuple[int, int]:
        return threading.active_count(), len(os.listdir("/proc/self/fd"))

    before = used()
    stream.restart_sender()
    stream.settle()
    stream.restart_receiver()
    stream.phase(Conditions(loss=0.3), 30)
    stream.settle()
    assert used() == before
