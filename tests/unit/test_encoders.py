"""x265 accepts every size, rate and bitrate of a sender; the standard limits small coding units."""

from __future__ import annotations

import numpy as np
import pytest
from edgecam_core.media import i420
from edgecam_core.media.encoders import EncoderRequest, choose
from edgecam_core.media.encoding import EncoderPipeline


@pytest.mark.parametrize(
    ("width", "height", "framerate", "bitrate"),
    [
        (16, 16, 30.0, 50_000),
        (1920, 1080, 30.0, 4_000_000),
        (1920, 1080, 100.0, 4_000_000),  # level 5 by its samples a second
        (2560, 1440, 30.0, 4_000_000),  # by its samples
        (5000, 200, 30.0, 4_000_000),  # by its width
        (640, 480, 30.0, 100_000_000),  # by its bitrate
    ],
)
def test_x265_takes_frames_of_every_level(width: int, height: int, framerate: float, bitrate: int) -> None:
    encoder = EncoderPipeline(choose("x265enc", "h265"), EncoderRequest(bitrate, 30), width, height, framerate)
    try:
        encoder.push(np.full(i420.layout(width, height).size, 128, np.uint8), 1)
        unit = encoder.pull(60)
        assert unit is not None
        assert unit.stamp_ns == 1
    finally:
        encoder.stop()
