"""What the RTP tests share: free ports, numbered pictures, short coded streams."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from edgecam_core.rtp.encoders import ENCODERS, Request
from edgecam_core.rtp.encoding import EncoderPipeline
from edgecam_core.rtp.i420 import from_frame
from edgecam_core.types import Frame

WIDTH, HEIGHT = 320, 240
FIRST_STAMP = 1_700_000_000_123_456_789


def free_port() -> int:
    """An even UDP port that is free together with the next one."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first:
            first.bind(("", 0))
            port = int(first.getsockname()[1])
            if port % 2 == 0 and port < 65000:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second:
                    try:
                        second.bind(("", port + 1))
                    except OSError:
                        continue
                return port


def picture(index: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A moving picture; the squares at its upper edge are its number in binary, black for 0, white for 1."""
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
    return Frame.from_array(picture(index, width, height), "bgr8", stamp, "camera_optical_frame")


def coded_stream(count: int, codec: str = "h265", keyframe_interval: int = 10) -> list[tuple[list[bytes], int]]:
    """NAL units and stamp of ``count`` pictures from the real encoder."""
    element = {"h265": "x265enc", "h264": "x264enc"}[codec]
    row = next(row for row in ENCODERS if row.element == element)
    encoder = EncoderPipeline(row, Request(800_000, keyframe_interval), WIDTH, HEIGHT, 30.0)
    try:
        units = []
        for index in range(count):
            encoder.push(from_frame(frame(index))[0], frame(index).stamp_ns)
            coded = wait_until(lambda: encoder.pull(0.5))
            units.append((coded.nals, coded.stamp_ns))
        return units
    finally:
        encoder.stop()


def wait_until(condition: Callable[[], Any], timeout: float = 20.0, what: str = "the event") -> Any:
    """The condition's first true value; fails the test when it does not come."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.005)
    pytest.fail(f"waited {timeout} s in vain for {what}")
