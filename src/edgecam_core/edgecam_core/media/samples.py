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

"""Samples pulled from a pipeline with their video format, and new buffers to push into one."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import numpy as np

from edgecam_core.errors import PipelineError
from edgecam_core.media.binding import library, load


@dataclass(frozen=True)
class Plane:
    """The offset of a plane in the buffer and the stride of its rows, in bytes."""

    offset: int
    stride: int


class MappedSample:
    """One buffer from an appsink, as a context manager; ``data`` is valid until the sample is closed.

    ``data`` is flat uint8, a view of GStreamer's memory. ``pts_ns`` is the running time of the buffer in nanoseconds
    (-1: none). ``width``, ``height`` and ``format`` are from the caps of the buffer. ``planes`` takes row padding into
    account (from the video meta, else GStreamer's default strides) and is empty for other media than raw video.
    ``matrix`` (``bt601``, ``bt709``, ``bt2020``, ``rgb``, ...) and ``full_range`` define how to read YUV.

    Raises:
        PipelineError: the buffer cannot be mapped.
    """

    def __init__(self, sample: Any) -> None:
        gst = load()
        self.raw = sample
        self.buffer = sample.get_buffer()
        caps = sample.get_caps()
        facts = _video_caps(caps.to_string() if caps else "")
        self.media_type, self.format = facts.media_type, facts.format
        self.width, self.height = facts.width, facts.height
        self.matrix, self.full_range = facts.matrix, facts.full_range
        segment = sample.get_segment()
        running = segment.to_running_time(gst.Format.TIME, self.buffer.pts) if segment else self.buffer.pts
        self.pts_ns = -1 if running == gst.CLOCK_TIME_NONE else int(running)
        ok, self._map = self.buffer.map(gst.MapFlags.READ)
        if not ok:
            raise PipelineError("GStreamer could not map a buffer for reading")
        self.data = np.frombuffer(self._map.data, np.uint8)
        self.planes = _planes(self.buffer) or facts.planes

    def close(self) -> None:
        if self._map is not None:
            self.data = np.empty(0, np.uint8)
            self.buffer.unmap(self._map)
            self._map = None

    def __enter__(self) -> MappedSample:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


@dataclass(frozen=True)
class _VideoCaps:
    """The video format that caps state."""

    media_type: str
    width: int
    height: int
    format: str
    planes: tuple[Plane, ...] = ()
    matrix: str = "unknown"
    full_range: bool = False


@functools.lru_cache(maxsize=64)
def _video_caps(text: str) -> _VideoCaps:
    def number(field: str) -> int:
        match = re.search(rf"\b{field}=\(int\)(\d+)", text)
        return int(match[1]) if match else 0

    match = re.search(r"\bformat=\(string\)([\w-]+)", text)
    facts = _VideoCaps(text.split(",")[0], number("width"), number("height"), match[1] if match else "")
    if facts.media_type != "video/x-raw":
        return facts
    info = library("GstVideo").VideoInfo.new_from_caps(load().Caps.from_string(text))
    if info is None:
        return facts
    planes = tuple(Plane(info.offset[i], info.stride[i]) for i in range(info.finfo.n_planes))
    # VideoInfo loses the range if the matrix is unknown (1:0:0:0), as in monochrome streams.
    full_range = info.colorimetry.range.value_nick == "0-255" or "colorimetry=(string)1:" in text
    return replace(facts, planes=planes, matrix=info.colorimetry.matrix.value_nick, full_range=full_range)


def _planes(buffer: Any) -> tuple[Plane, ...]:
    meta = library("GstVideo").buffer_get_video_meta(buffer)
    if meta is None:
        return ()
    return tuple(Plane(meta.offset[i], meta.stride[i]) for i in range(meta.n_planes))


def buffer_of(data: np.ndarray) -> Any:
    """A new buffer without a time, with a copy of ``data`` (any contiguous array).

    Raises:
        PipelineError: the buffer cannot be mapped.
    """
    gst = load()
    flat = data.reshape(-1).view(np.uint8)
    buffer = gst.Buffer.new_allocate(None, flat.nbytes, None)
    ok, mapped = buffer.map(gst.MapFlags.WRITE)
    if not ok:
        raise PipelineError("GStreamer could not map a buffer for writing")
    in_place = isinstance(mapped.data, memoryview)
    if in_place:
        np.frombuffer(mapped.data, np.uint8)[:] = flat
    buffer.unmap(mapped)
    if not in_place:  # PyGObject without gst-python, as for a Python other than the system's: map() gives a copy
        buffer.fill(0, flat.tobytes())
    return buffer
