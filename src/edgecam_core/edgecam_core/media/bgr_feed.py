# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Pushes bgr8 frames into an appsrc."""

from __future__ import annotations

import numpy as np

from edgecam_core.media.binding import load
from edgecam_core.media.pipeline import Pipeline


def padded_rows(rows: np.ndarray) -> np.ndarray:
    """A copy of (H, bytes) uint8 with each row padded to a multiple of four bytes, as GStreamer expects it."""
    height, size = rows.shape
    padded = np.zeros((height, (size + 3) // 4 * 4), np.uint8)
    padded[:, :size] = rows
    return padded


class BgrFeed:
    """Pushes frames into the appsrc ``name`` of a pipeline and sets its caps when their size changes.

    The appsrc stamps the frames.
    """

    def __init__(self, pipeline: Pipeline, name: str = "feed") -> None:
        self._pipeline = pipeline
        self._name = name
        self._size = (0, 0)

    def push(self, pixels: np.ndarray) -> bool:
        """Push one (H, W, 3) uint8 bgr8 frame; copies it. False if the pipeline does not accept it."""
        height, width = pixels.shape[:2]
        if (width, height) != self._size:
            self._size = (width, height)
            caps = f"video/x-raw,format=BGR,width={width},height={height},framerate=0/1"
            self._pipeline.element(self._name).set_property("caps", load().Caps.from_string(caps))
        buffer = self._pipeline.new_buffer(padded_rows(pixels.reshape(height, width * 3)), 0)
        buffer.pts = load().CLOCK_TIME_NONE
        return self._pipeline.push(buffer, self._name)
