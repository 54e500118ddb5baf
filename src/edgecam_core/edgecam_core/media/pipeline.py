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

"""A running GStreamer pipeline.

The caller's thread pulls frames, because ``appsink`` callbacks would defeat ``drop=true``. Frames are pushed by mapping
a new buffer, because passing an array or memoryview to ``gi`` takes tens of milliseconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from edgecam_core.errors import PipelineError
from edgecam_core.masking import masked
from edgecam_core.media import refusals
from edgecam_core.media.binding import library, load, require_elements
from edgecam_core.media.messages import BusMessage, plain_message
from edgecam_core.media.samples import MappedSample, buffer_of


class Pipeline:
    """A pipeline from launch text. Not thread-safe, except that ``pull``, ``push``, ``messages`` and ``seek_to_start``
    may each be called from a separate thread.

    Raises:
        MissingDependency: an element is not installed; the message names the apt package.
        PipelineError: the text does not parse.
    """

    def __init__(self, text: str) -> None:
        gst = load()
        self.text = text
        self._sinks: dict[str, Any] = {}
        self._probes: list[tuple[Any, int]] = []
        require_elements(text)
        try:
            pipeline = gst.parse_launch(text)
        except Exception as error:  # GLib.GError; its class exists only once gi is loaded
            raise PipelineError(
                f"GStreamer refuses the pipeline: {masked(_gerror_text(error))}; the pipeline is: {masked(text)}"
            ) from error
        if not isinstance(pipeline, gst.Pipeline):
            wrapper = gst.Pipeline.new(None)
            wrapper.add(pipeline)
            pipeline = wrapper
        self.gst_pipeline = pipeline
        refusals.watch(pipeline)
        self._bus = pipeline.get_bus()

    def element(self, name: str) -> Any:
        """The element with that ``name=``.

        Raises:
            PipelineError: there is none.
        """
        found = self.gst_pipeline.get_by_name(name)
        if found is None:
            raise PipelineError(f"the pipeline has no element named {name!r}: {masked(self.text)}")
        return found

    def start(self, timeout: float = 10.0) -> None:
        """Go to PLAYING. Blocks until the state change succeeds or fails, up to ``timeout`` seconds.

        Raises:
            PipelineError: the state change failed (missing device, port in use, ...); the text is from GStreamer.
        """
        gst = load()
        change = self.gst_pipeline.set_state(gst.State.PLAYING)
        if change == gst.StateChangeReturn.ASYNC:
            change, _, _ = self.gst_pipeline.get_state(int(timeout * gst.SECOND))
        if change == gst.StateChangeReturn.FAILURE:
            raise PipelineError(self._why() or f"the pipeline does not start: {masked(self.text)}")

    def preroll(self, timeout: float = 10.0) -> bool:
        """Go to PAUSED and wait up to ``timeout`` seconds for the first frame; False if none has arrived by then.

        Raises:
            PipelineError: the stream cannot be opened; the text is from GStreamer.
        """
        gst = load()
        self.gst_pipeline.set_state(gst.State.PAUSED)
        change, _, _ = self.gst_pipeline.get_state(int(timeout * gst.SECOND))
        if change == gst.StateChangeReturn.FAILURE:
            raise PipelineError(self._why() or f"the pipeline does not preroll: {masked(self.text)}")
        return bool(change != gst.StateChangeReturn.ASYNC)

    def _why(self) -> str:
        """Stop after a failed state change and return the first error, which may follow the failure."""
        first = self.wait_for(("error",), 0.5)
        text = (self.unnamed_format(first) or first.text) if first else ""
        self.stop()
        return text

    def unnamed_format(self, error: BusMessage) -> str:
        """An error text if a decoder's pixel format, which GStreamer has no name for, is the cause; else ``""``."""
        return refusals.unnamed_format(self.gst_pipeline) if error.flow == "not-negotiated" else ""

    def seek_to_start(self, flush: bool = True, segment: bool = False) -> bool:
        """Play from the beginning again; False if the stream cannot seek.

        With ``segment``, a ``segment-done`` message is posted at the end instead of end-of-stream; the next seek
        without ``flush`` then continues the running time without a gap.
        """
        gst = load()
        flags = gst.SeekFlags.NONE
        if flush:
            flags |= gst.SeekFlags.FLUSH | gst.SeekFlags.ACCURATE
        if segment:
            flags |= gst.SeekFlags.SEGMENT
        kinds = gst.SeekType
        return bool(self.gst_pipeline.seek(1.0, gst.Format.TIME, flags, kinds.SET, 0, kinds.NONE, -1))

    def stop(self) -> None:
        """Go to NULL and release all resources; safe to call twice. Blocks until GStreamer's threads have ended."""
        gst = load()
        self.gst_pipeline.set_state(gst.State.NULL)
        self._sinks.clear()
        while self._probes:  # a callback that references the pipeline would keep both alive
            pad, number = self._probes.pop()
            pad.remove_probe(number)
        self._bus.set_flushing(True)

    def pull(self, timeout: float, sink: str = "sink") -> MappedSample | None:
        """The next buffer of an appsink, waiting up to ``timeout`` seconds; None if none arrives."""
        gst = load()
        if sink not in self._sinks:
            self._sinks[sink] = self.element(sink)
        sample = self._sinks[sink].emit("try-pull-sample", int(timeout * gst.SECOND))
        return None if sample is None else MappedSample(sample)

    def arrivals(self, sink: str = "sink") -> tuple[int, int]:
        """The number of buffers that reached an appsink since the start or the last seek, and the number queued now.

        (0, 0) before GStreamer 1.18; the second number is 0 if appsink does not report it.
        """
        if sink not in self._sinks:
            self._sinks[sink] = self.element(sink)
        element = self._sinks[sink]
        if element.find_property("stats") is None:
            return 0, 0
        arrived = element.get_property("stats").get_value("rendered")
        waiting = 0
        if element.find_property("current-level-buffers") is not None:
            waiting = element.get_property("current-level-buffers")
        return int(arrived), int(waiting)

    def video_decoder(self) -> str:
        """The name of the video decoder in use; empty if there is none."""
        found = ""

        def look(element: Any) -> None:
            nonlocal found
            factory = element.get_factory()
            kinds = set(factory.get_metadata("klass").split("/")) if factory else set()
            if "Decoder" in kinds and kinds & {"Video", "Image"}:
                found = str(factory.get_name())

        self.gst_pipeline.iterate_recurse().foreach(look)
        return found

    def orientation(self, element: str) -> str:
        """The orientation tag that has reached an element, as a value of videoflip's video-direction.

        ``identity`` if there is none, and before GStreamer 1.20.
        """
        gst = load()
        read: Any = getattr(library("GstVideo"), "video_orientation_from_tag", lambda _tags: (False, None))
        pad = self.element(element).get_static_pad("sink")
        found, index = "identity", 0
        while (event := pad.get_sticky_event(gst.EventType.TAG, index)) is not None:
            known, method = read(event.parse_tag())
            found = str(method.value_nick) if known else found
            index += 1
        return found

    def new_buffer(self, data: np.ndarray, pts_ns: int, duration_ns: int = 0) -> Any:
        """A new buffer with a copy of ``data`` (any contiguous array); callers may add metas before pushing."""
        buffer = buffer_of(data)
        buffer.pts = pts_ns
        buffer.duration = duration_ns or load().CLOCK_TIME_NONE
        return buffer

    def push(self, buffer: Any, source: str = "src") -> bool:
        """Push a buffer into an appsrc; False if the pipeline does not accept it (flushing, ended)."""
        return bool(self.element(source).emit("push-buffer", buffer) == load().FlowReturn.OK)

    def force_keyframe(self, sink: str = "sink") -> None:
        """Request a keyframe with parameter sets from the encoder upstream of this sink."""
        gst = load()
        event = library("GstVideo").video_event_new_upstream_force_key_unit(gst.CLOCK_TIME_NONE, True, 0)
        self.element(sink).get_static_pad("sink").push_event(event)

    def messages(self, wait: float = 0.0) -> list[BusMessage]:
        """All bus messages received; waits up to ``wait`` seconds for the first."""
        gst = load()
        found = []
        message = self._bus.timed_pop(int(wait * gst.SECOND)) if wait else self._bus.pop()
        while message is not None:
            if plain := plain_message(message):
                found.append(plain)
            message = self._bus.pop()
        return found

    def wait_for(self, kinds: tuple[str, ...], timeout: float) -> BusMessage | None:
        """The first message of one of these kinds, or None after ``timeout`` seconds."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            for message in self.messages(min(left, 0.2)):
                if message.kind in kinds:
                    return message
        return None

    def running_time_ns(self) -> int:
        """The pipeline's running time (clock minus base time); -1 before it plays."""
        clock = self.gst_pipeline.get_clock()
        return -1 if clock is None else int(clock.get_time() - self.gst_pipeline.get_base_time())

    def on_buffer(self, element: str, pad: str, callback: Callable[[Any], bool]) -> None:
        """Call back with every buffer at a pad, in the streaming thread; False drops the buffer. Must be fast."""
        gst = load()

        def probe(_pad: Any, info: Any) -> Any:
            if info.type & gst.PadProbeType.BUFFER_LIST:
                buffers = info.get_buffer_list()
                verdicts = [callback(buffers.get(i)) for i in range(buffers.length())]  # a list, to call it for all
                keep = all(verdicts)
            else:
                keep = callback(info.get_buffer())
            return gst.PadProbeReturn.OK if keep else gst.PadProbeReturn.DROP

        kinds = gst.PadProbeType.BUFFER | gst.PadProbeType.BUFFER_LIST
        watched = self.element(element).get_static_pad(pad)
        self._probes.append((watched, watched.add_probe(kinds, probe)))

    def on_running_time(self, element: str, callback: Callable[[int, int], None]) -> None:
        """Call back with the running time of every buffer at the element's sink pad and the current running time.

        The callback runs in the streaming thread and must return fast.
        """
        gst = load()
        pad = self.element(element).get_static_pad("sink")

        def look(buffer: Any) -> bool:
            event = pad.get_sticky_event(gst.EventType.SEGMENT, 0)
            if event is not None and buffer.pts != gst.CLOCK_TIME_NONE:
                running = event.parse_segment().to_running_time(gst.Format.TIME, buffer.pts)
                if running != gst.CLOCK_TIME_NONE:
                    callback(int(running), self.running_time_ns())
            return True

        self.on_buffer(element, "sink", look)


def _gerror_text(error: Exception) -> str:
    return str(getattr(error, "message", error))
