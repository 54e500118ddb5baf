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

"""Shows frames in a window: selects the sink and composes the pipeline as text for gst-launch-1.0."""

from __future__ import annotations

from collections.abc import Mapping

from edgecam_core.camera.plan import SourcePlan, geometry
from edgecam_core.camera.platform import SINKS, ElementChoice, Have, choose
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.errors import MissingDependency
from edgecam_core.media import gst
from edgecam_core.media.bgr_feed import BgrFeed
from edgecam_core.types import Frame

# The environment variables that each sink needs (any of them), and the elements that must precede it.
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
    """Whether the environment names a display."""
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def pick_sink(have: Have, environment: Mapping[str, str]) -> ElementChoice:
    """The best window sink for this machine and the display named by the environment; ``have`` may try to open it.

    Raises:
        MissingDependency: no sink for this display is installed.
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
    """The end of the pipeline: conversion to a format that the sink accepts, and the sink."""
    before = _BEFORE.get(sink, "videoconvert")
    return f"{before} ! {sink} sync={'true' if paced else 'false'}"


class TopicWindow:
    """A window that shows the frames passed to :meth:`show`.

    Raises:
        MissingDependency, PipelineError: the window cannot be opened.
    """

    def __init__(self, sink: str) -> None:
        self.text = f"{TOPIC_HEAD} ! {sink_text(sink)}"
        self.pipeline = gst.Pipeline(self.text)
        self._feed = BgrFeed(self.pipeline)
        self.pipeline.start(timeout=0.0)

    def show(self, frame: Frame) -> None:
        """Show one frame; copies it."""
        self._feed.push(frame.bgr())

    def close(self) -> None:
        """Close the window."""
        self.pipeline.stop()
