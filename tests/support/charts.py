"""A colour chart as video files in every format that the installed GStreamer can encode."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from edgecam_core.media import gst

PATCHES = ((235, 30, 30), (30, 200, 40), (40, 60, 220), (230, 220, 40), (40, 200, 210), (200, 50, 190), (128, 128, 128),
           (245, 245, 245), (20, 20, 20), (240, 150, 90), (90, 60, 40), (180, 200, 160))  # fmt: skip
"""RGB, row by row, four in a row: primaries, mixed colours, skin, greys from dark to light."""
COLUMNS = 4


@dataclass(frozen=True)
class VideoFormat:
    """A video format: ``caps`` of the raw video before the encoder, launch text of encoder and muxer."""

    encoder: str
    caps: str
    muxer: str
    suffix: str
    size: tuple[int, int] = (256, 192)
    grey: bool = False

    @property
    def name(self) -> str:
        return f"{self.encoder.split()[0]} {self.caps} {self.suffix} {self.size[0]}x{self.size[1]}"


def chart(size: tuple[int, int]) -> np.ndarray:
    """The chart, (H, W, 3) uint8 BGR."""
    rows = len(PATCHES) // COLUMNS
    small = np.array(PATCHES, np.uint8).reshape(rows, COLUMNS, 3)[:, :, ::-1]
    return cv2.resize(small, size, interpolation=cv2.INTER_NEAREST)


def patches(image: np.ndarray) -> np.ndarray:
    """The mean BGR of the middle of each patch, (12, 3)."""
    rows = len(PATCHES) // COLUMNS
    height, width = image.shape[0] / rows, image.shape[1] / COLUMNS
    found = []
    for index in range(len(PATCHES)):
        y, x = (index // COLUMNS + 0.5) * height, (index % COLUMNS + 0.5) * width
        part = image[int(y - height / 6) : int(y + height / 6) + 1, int(x - width / 6) : int(x + width / 6) + 1]
        found.append(part.reshape(-1, 3).mean(axis=0))
    return np.array(found)


def write(kind: VideoFormat, path: Path, frames: int = 10) -> None:
    """Write the chart as a video at 10 Hz. Raises AssertionError with GStreamer's error if that fails."""
    still = path.with_suffix(".chart.png")
    cv2.imwrite(str(still), chart(kind.size))
    muxer = f"! {kind.muxer} " if kind.muxer else ""
    pipeline = gst.Pipeline(
        f"filesrc location={gst.quoted(str(still))} ! pngdec ! imagefreeze num-buffers={frames} "
        f"! videorate ! videoconvert ! {kind.caps},framerate=10/1 ! {kind.encoder} {muxer}"
        f"! filesink location={gst.quoted(str(path))}"
    )
    pipeline.start()
    try:
        end = pipeline.wait_for(("eos", "error"), 30)
        assert end is not None
        assert end.kind == "eos", end.text
    finally:
        pipeline.stop()
