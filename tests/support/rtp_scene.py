"""Shared by the RTP tests: numbered frames, short coded streams, running senders and receivers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from edgecam_core.media.encoders import ENCODERS, EncoderRequest
from edgecam_core.media.encoding import EncoderPipeline
from edgecam_core.media.i420 import from_frame
from edgecam_core.rtp.decoder_supervisor import MAX_WAITING
from edgecam_core.rtp.receiver import Receiver
from edgecam_core.rtp.sender import Sender
from edgecam_core.rtp.settings import ReceiverSettings, SenderSettings
from edgecam_core.types import Frame
from waiting import wait_until

WIDTH, HEIGHT = 320, 240
FIRST_STAMP = 1_700_000_000_123_456_789


def pixels_of(index: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A moving frame; the squares at its upper edge show its number in binary, black for 0, white for 1."""
    ramp = np.linspace(40, 200, width * 2, dtype=np.float32)[None, index % width : index % width + width]
    bgr = np.repeat(np.repeat(ramp, height, 0)[..., None], 3, 2).astype(np.uint8)
    for bit in range(8):
        bgr[0:32, bit * 32 : bit * 32 + 32] = 235 if index >> bit & 1 else 20
    return bgr


def index_of(bgr: np.ndarray) -> int:
    return sum(int(bgr[8:24, bit * 32 + 8 : bit * 32 + 24].mean() > 128) << bit for bit in range(8))


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    error = np.square(one.astype(np.float32) - other.astype(np.float32)).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-6)))


def frame(index: int, width: int = WIDTH, height: int = HEIGHT) -> Frame:
    stamp = FIRST_STAMP + index * 33_333_333 + index * 7919 % 4_000_000
    return Frame.from_array(pixels_of(index, width, height), "bgr8", stamp, "camera_optical_frame")


def coded_stream(count: int, codec: str = "h265", keyframe_interval: int = 10) -> list[tuple[list[bytes], int]]:
    """NAL units and stamp of ``count`` frames from the real encoder."""
    element = {"h265": "x265enc", "h264": "x264enc"}[codec]
    row = next(row for row in ENCODERS if row.element == element)
    encoder = EncoderPipeline(row, EncoderRequest(800_000, keyframe_interval), WIDTH, HEIGHT, 30.0)
    try:
        units = []
        for index in range(count):
            encoder.push(from_frame(frame(index))[0], frame(index).stamp_ns)
            coded = wait_until(lambda: encoder.pull(0.5))
            units.append((coded.nals, coded.stamp_ns))
        return units
    finally:
        encoder.stop()


class FrameSource:
    """Sends numbered frames in a thread until closed, ``rate`` a second."""

    def __init__(self, sender: Sender, first: int, size: tuple[int, int], rate: float) -> None:
        self.sender = sender
        self.stamps: dict[int, int] = {}
        self._next, self._size, self._rate = first, size, rate
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(1 / self._rate):
            made = frame(self._next, *self._size)
            self.stamps[made.stamp_ns] = self._next
            self.sender.send(made)
            self._next += 1

    def close(self) -> None:
        self._stop.set()
        self._thread.join(60)


class Reader:
    """Reads frames in a thread; keeps stamp, number and size of all, the pixels of every tenth and of the newest."""

    keep_every = 10

    def __init__(self, receiver: Receiver) -> None:
        self.seen: list[tuple[int, int, tuple[int, int]]] = []
        self.newest: Frame | None = None
        self._kept: list[Frame] = []
        self._receiver = receiver
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            got = self._receiver.read(0.1)
            if got is not None:
                self.newest = got
                if len(self.seen) % self.keep_every == 0:
                    self._kept.append(got)
                self.seen.append((got.stamp_ns, index_of(got.bgr()), (got.width, got.height)))

    def quality(self, stamps: dict[int, int]) -> list[float]:
        """PSNR in dB of the frames kept; ``stamps`` gives the number of the frame a stamp belongs to."""
        return [psnr(each.bgr(), pixels_of(stamps[each.stamp_ns])) for each in self._kept]

    def close(self) -> None:
        self._stop.set()
        self._thread.join(60)


def decoder_is_behind(receiver: Receiver) -> bool:
    """Whether so much waits for the decoder that it would soon skip to a keyframe."""
    decoder = receiver._decoder
    return decoder is not None and decoder.waiting() >= MAX_WAITING // 2


def keep_every_frame(receiver: Receiver) -> None:
    """Let the decoder wait for a slow reader, which otherwise gets only the newest frames."""
    decoder = receiver._decoder
    assert decoder is not None
    decoder._pipeline._pipeline.element("sink").set_property("drop", False)


@contextmanager
def sending(
    port: int, first: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT), rate: float = 30.0, **values: Any
) -> Iterator[FrameSource]:
    sender = Sender(SenderSettings(port=port, bitrate=1_000_000, framerate=rate, **values))
    sender.start()
    feed = FrameSource(sender, first, size, rate)
    try:
        yield feed
    finally:
        feed.close()
        sender.stop()


@contextmanager
def receiving(port: int, **values: Any) -> Iterator[tuple[Receiver, Reader]]:
    receiver = Receiver(ReceiverSettings(port=port, **values))
    receiver.start()
    reader = Reader(receiver)
    try:
        yield receiver, reader
    finally:
        reader.close()
        receiver.stop()
