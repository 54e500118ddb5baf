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

"""Showing frames in a window: which sink, and the whole pipeline as text that can be pasted into gst-launch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgecam_core.camera.plan import SourcePlan, geometry
from edgecam_core.camera.platform import SINKS, Choice, Have, choose
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.errors import MissingDependency
from edgecam_core.media import gst
from edgecam_core.types import Frame

# What each sink needs from the environment, and what must precede it.
_NEEDS = {
    "glimagesink": ("DISPLAY", "WAYLAND_DISPLAY"), "waylandsink": ("WAYLAND_DISPLAY",), "xvimagesink": ("DISPLAY",),
    "ximagesink": ("DISPLAY",), "nveglglessink": ("DISPLAY", "WAYLAND_DISPLAY"), "nv3dsink": ("DISPLAY",),
}  # fmt: skip
_BEFORE = {
    "nv3dsink": "nvvidconv ! video/x-raw(memory:NVMM)",
    "nveglglessink": "nvvidconv ! video/x-raw(memory:NVMM) ! nvegltransform",
}
TOPIC_HEAD = "appsrc name=feed is-live=true format=time do-timestamp=true"


def has_display(environment: Mapping[str, str]) -> bool:
    """Whether windows can be opened at all."""
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def pick_sink(have: Have, environment: Mapping[str, str]) -> Choice:
    """The best window sink for this machine and the display that the environment names; ``have`` may try to open it.

    Raises:
        MissingDependency: none is installed that could use the display.
    """

    def usable(element: str) -> bool:
        return any(environment.get(name) for name in _NEEDS[element]) and have(element)

    try:
        return choose("sink", "auto", SINKS, usable)
    except MissingDependency as error:
        raise MissingDependency("a window sink for this display", error.install) from error


def window_text(plan: SourcePlan, settings: CameraSettings, sink: str, have: Have) -> str:
    """The complete launch text from a source to a window."""
    steps = [plan.head, *([plan.decode] if plan.decode else []), *geometry(plan, settings, have)]
    return " ! ".join([*steps, sink_text(sink, plan.paced)])


def sink_text(sink: str, paced: bool = False) -> str:
    """The end of the pipeline: conversion to what the sink takes, and the sink."""
    before = _BEFORE.get(sink, "videoconvert")
    return f"{before} ! {sink} sync={'true' if paced else 'false'}"


class TopicWindow:
    """A window that shows the frames it is given.

    Raises:
        MissingDependency, PipelineError: the window cannot be opened.
    """

    def __init__(self, sink: str) -> None:
        self.text = f"{TOPIC_HEAD} ! {sink_text(sink)}"
        self.pipeline = gst.Pipeline(self.text)
        self._size = (0, 0)
        self.pipeline.start(timeout=0.0)

    def show(self, frame: Frame) -> None:
        """Show one frame; copies it."""
        pixels = frame.bgr()
        height, width = pixels.shape[:2]
        if (width, height) != self._size:
            self._size = (width, height)
            caps = f"video/x-raw,format=BGR,width={width},height={height},framerate=0/1"
            self.pipeline.element("feed").set_property("caps", gst.load().Caps.from_string(caps))
        rows = np.zeros((height, (width * 3 + 3) // 4 * 4), np.uint8)  # GStreamer's rows are multiples of 4 bytes
        rows[:, : width * 3] = pixels.reshape(height, width * 3)
        buffer = self.pipeline.new_buffer(rows, 0)
        buffer.pts = gst.load().CLOCK_TIME_NONE  # the appsrc stamps it
        self.pipeline.push(buffer, "feed")

    def close(self) -> None:
        self.pipeline.stop()
