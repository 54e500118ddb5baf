"""The one file that talks to GStreamer's Python binding (``gi``).

Everything else builds pipeline text with pure functions and hands it to :class:`Pipeline`. Frames are pulled
by the caller's own thread (``appsink`` callbacks would defeat ``drop=true``) and pushed by mapping a fresh buffer
(handing ``gi`` an array or memoryview costs tens of milliseconds).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any

import numpy as np

from edgecam_core.errors import MissingDependency, PipelineError
from edgecam_core.masking import masked
from edgecam_core.media import elements

_APT = "sudo apt-get install python3-gi python3-gst-1.0 gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-base"


@functools.cache
def load() -> Any:
    """The initialised ``Gst`` module.

    Raises:
        MissingDependency: no binding; the message has the apt command.
    """
    _keep_the_unwinder()
    try:
        import gi

        for name in ("Gst", "GstVideo"):
            gi.require_version(name, "1.0")
        from gi.repository import Gst
    except (ImportError, ValueError) as error:
        raise MissingDependency(f"GStreamer's Python binding ({error})", _APT) from error
    Gst.init(None)
    return Gst


def _keep_the_unwinder() -> None:
    """Make libgcc's exception unwinder the process's own before GStreamer comes.

    Debian's GStreamer pulls libunwind into the global scope; C++ libraries loaded later (ONNX Runtime) would take its
    unwinder for libgcc's and die at their first exception.
    """
    with contextlib.suppress(OSError):  # another C library: nothing to keep
        ctypes.CDLL("libgcc_s.so.1", mode=ctypes.RTLD_GLOBAL)


@functools.cache
def library(name: str, version: str = "1.0") -> Any:
    """Another GStreamer typelib by name, e.g. ``library("GstRtp")``; or one that GStreamer brings with it.

    Raises:
        MissingDependency: the typelib is not installed.
    """
    load()
    import importlib

    try:
        importlib.import_module("gi").require_version(name, version)
        return importlib.import_module(f"gi.repository.{name}")
    except (ImportError, ValueError) as error:
        raise MissingDependency(f"GStreamer's Python binding ({error})", elements.typelib_remedy(name)) from error


def version() -> tuple[int, int, int]:
    major, minor, micro, _nano = load().version()
    return major, minor, micro


def has_element(name: str) -> bool:
    """Whether an element can be made here (its plugin is installed and its hardware was found)."""
    return load().ElementFactory.find(name) is not None


def make(name: str, *properties: str) -> Any:
    """A new element outside any pipeline, with properties given as name, value, name, value, ... in launch text.

    Raises:
        MissingDependency: the element is not installed.
    """
    require_elements(name)
    element = load().ElementFactory.make(name)
    for key, value in zip(properties[::2], properties[1::2], strict=True):
        load().util_set_object_arg(element, key, value)
    return element


def can_open(name: str) -> bool:
    """Whether an element is there and can take its device or display: a sink for an X server without Xv cannot."""
    gst = load()
    element = gst.ElementFactory.make(name) if has_element(name) else None
    if element is None:
        return False
    opened = element.set_state(gst.State.READY) == gst.StateChangeReturn.SUCCESS
    element.set_state(gst.State.NULL)
    return opened


def first_element(candidates: tuple[str, ...]) -> str:
    """The first of the candidates that is there.

    Raises:
        MissingDependency: none is; the message tells how to get the last (the one for any machine).
    """
    for name in candidates:
        if has_element(name):
            return name
    raise MissingDependency(f"GStreamer element {' or '.join(candidates)}", elements.remedy(candidates[-1]))


def require_elements(text: str) -> None:
    """Raise MissingDependency, naming the apt package, when an element of the launch text is not installed."""
    for name in element_names(text):
        if not has_element(name):
            raise MissingDependency(f"GStreamer element '{name}'", elements.remedy(name))


@dataclass(frozen=True)
class Plane:
    """Where a plane begins in the buffer and how long its rows are, in bytes."""

    offset: int
    stride: int


@dataclass(frozen=True)
class Message:
    """One bus message, plain: ``kind`` is error, warning, eos, segment-done or element; ``code`` the GError code.

    ``name`` and ``fields`` are an element message's name and its fields that are text.
    """

    kind: str
    source: str
    text: str
    domain: str = ""
    code: int = 0
    name: str = ""
    fields: dict[str, str] = field(default_factory=dict)


class Sample:
    """One buffer from an appsink. A context manager: ``data`` is valid until it is closed.

    ``data`` is flat uint8, a view of GStreamer's memory. ``pts_ns`` is the buffer's running time in nanoseconds
    (-1: none). ``width``, ``height``, ``format`` are those of this buffer's own caps; ``planes`` respects row padding
    (from the buffer's video meta, else GStreamer's own default strides; empty for anything but raw video).
    ``matrix`` (``bt601``, ``bt709``, ``bt2020``, ``rgb``, ...) and ``full_range`` say how YUV is to be read.
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

    def __enter__(self) -> Sample:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


@dataclass(frozen=True)
class _VideoCaps:
    """What caps say about each of their buffers."""

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

    form = re.search(r"\bformat=\(string\)([\w-]+)", text)
    facts = _VideoCaps(text.split(",")[0], number("width"), number("height"), form[1] if form else "")
    if facts.media_type != "video/x-raw":
        return facts
    info = library("GstVideo").VideoInfo.new_from_caps(load().Caps.from_string(text))
    if info is None:
        return facts
    planes = tuple(Plane(info.offset[i], info.stride[i]) for i in range(info.finfo.n_planes))
    full_range = info.colorimetry.range.value_nick == "0-255"
    return replace(facts, planes=planes, matrix=info.colorimetry.matrix.value_nick, full_range=full_range)


def _planes(buffer: Any) -> tuple[Plane, ...]:
    meta = library("GstVideo").buffer_get_video_meta(buffer)
    if meta is None:
        return ()
    return tuple(Plane(meta.offset[i], meta.stride[i]) for i in range(meta.n_planes))


class Pipeline:
    """A running ``gst-launch`` text. Not thread safe, except that ``pull``, ``push`` and ``messages`` may each be
    called from a thread of its own.

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
        except Exception as error:  # GLib.GError; its class is only there once gi is loaded
            raise PipelineError(
                f"GStreamer refuses the pipeline: {masked(_gerror_text(error))}; it was: {masked(text)}"
            ) from error
        if not isinstance(pipeline, gst.Pipeline):
            wrapper = gst.Pipeline.new(None)
            wrapper.add(pipeline)
            pipeline = wrapper
        self.gst_pipeline = pipeline
        self._bus = pipeline.get_bus()

    def element(self, name: str) -> Any:
        """The element with that ``name=``. Raises PipelineError when there is none."""
        found = self.gst_pipeline.get_by_name(name)
        if found is None:
            raise PipelineError(f"the pipeline has no element named {name!r}: {masked(self.text)}")
        return found

    def start(self, timeout: float = 10.0) -> None:
        """Go to PLAYING. Blocks up to ``timeout`` seconds for the state change to fail or to be under way.

        Raises:
            PipelineError: a device is missing, a port in use, ...; the text is GStreamer's own.
        """
        gst = load()
        change = self.gst_pipeline.set_state(gst.State.PLAYING)
        if change == gst.StateChangeReturn.ASYNC:
            change, _, _ = self.gst_pipeline.get_state(int(timeout * gst.SECOND))
        if change == gst.StateChangeReturn.FAILURE:
            raise PipelineError(self._why() or f"the pipeline does not start: {masked(self.text)}")

    def preroll(self, timeout: float = 10.0) -> bool:
        """Go to PAUSED and wait up to ``timeout`` seconds for the first frame; False when it has not come by then.

        Raises:
            PipelineError: the stream cannot be opened; the text is GStreamer's own.
        """
        gst = load()
        self.gst_pipeline.set_state(gst.State.PAUSED)
        change, _, _ = self.gst_pipeline.get_state(int(timeout * gst.SECOND))
        if change == gst.StateChangeReturn.FAILURE:
            raise PipelineError(self._why() or f"the pipeline does not preroll: {masked(self.text)}")
        return bool(change != gst.StateChangeReturn.ASYNC)

    def _why(self) -> str:
        """Stop after a failed state change and give the first error; it may come a moment after the failure."""
        first = self.wait_for(("error",), 0.5)
        self.stop()
        return first.text if first else ""

    def seek_to_start(self, flush: bool = True, segment: bool = False) -> bool:
        """Play from the beginning again; False when the stream cannot seek.

        With ``segment`` the end is told by a ``segment-done`` message instead of ending the stream; the next seek
        without ``flush`` then goes on with the running time, without a gap.
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
        """Go to NULL and free everything; safe to call twice. Blocks until GStreamer's threads are gone."""
        gst = load()
        self.gst_pipeline.set_state(gst.State.NULL)
        self._sinks.clear()
        while self._probes:  # a callback that leads back to the pipeline would keep both for ever
            pad, number = self._probes.pop()
            pad.remove_probe(number)
        self._bus.set_flushing(True)

    def pull(self, timeout: float, sink: str = "sink") -> Sample | None:
        """The next buffer of an appsink, waiting up to ``timeout`` seconds; None when none came."""
        gst = load()
        if sink not in self._sinks:
            self._sinks[sink] = self.element(sink)
        sample = self._sinks[sink].emit("try-pull-sample", int(timeout * gst.SECOND))
        return None if sample is None else Sample(sample)

    def arrivals(self, sink: str = "sink") -> tuple[int, int]:
        """How many buffers have reached an appsink since it started or last seeked, and how many wait in it now.

        (0, 0) before GStreamer 1.18; 0 waiting where appsink does not tell it.
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
        """The element that decodes the frames, whoever put it there; empty where there is none."""
        found = ""

        def look(element: Any) -> None:
            nonlocal found
            factory = element.get_factory()
            kinds = set(factory.get_metadata("klass").split("/")) if factory else set()
            if "Decoder" in kinds and kinds & {"Video", "Image"}:
                found = str(factory.get_name())

        self.gst_pipeline.iterate_recurse().foreach(look)
        return found

    def new_buffer(self, data: np.ndarray, pts_ns: int, duration_ns: int = 0) -> Any:
        """A fresh buffer holding a copy of ``data`` (any contiguous array); callers may add metas before pushing."""
        buffer = buffer_of(data)
        buffer.pts = pts_ns
        buffer.duration = duration_ns or load().CLOCK_TIME_NONE
        return buffer

    def push(self, buffer: Any, source: str = "src") -> bool:
        """Give a buffer to an appsrc; False when the pipeline does not take it (flushing, ended)."""
        return bool(self.element(source).emit("push-buffer", buffer) == load().FlowReturn.OK)

    def force_keyframe(self, sink: str = "sink") -> None:
        """Ask the encoder upstream of this sink to make its next frame a keyframe, with parameter sets."""
        gst = load()
        event = library("GstVideo").video_event_new_upstream_force_key_unit(gst.CLOCK_TIME_NONE, True, 0)
        self.element(sink).get_static_pad("sink").push_event(event)

    def messages(self, wait: float = 0.0) -> list[Message]:
        """All bus messages that have come; waits up to ``wait`` seconds for the first."""
        gst = load()
        found = []
        message = self._bus.timed_pop(int(wait * gst.SECOND)) if wait else self._bus.pop()
        while message is not None:
            if plain := _plain(message):
                found.append(plain)
            message = self._bus.pop()
        return found

    def wait_for(self, kinds: tuple[str, ...], timeout: float) -> Message | None:
        """The first message of one of these kinds, or None after ``timeout`` seconds."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            for message in self.messages(min(left, 0.2)):
                if message.kind in kinds:
                    return message
        return None

    def running_time_ns(self) -> int:
        """Now on the pipeline's own time line (clock minus base time), -1 before it plays."""
        clock = self.gst_pipeline.get_clock()
        return -1 if clock is None else int(clock.get_time() - self.gst_pipeline.get_base_time())

    def on_buffer(self, element: str, pad: str, callback: Callable[[Any], bool]) -> None:
        """Call back with every buffer at a pad, in the streaming thread; False drops the buffer. Must be quick."""
        gst = load()

        def probe(_pad: Any, info: Any) -> Any:
            if info.type & gst.PadProbeType.BUFFER_LIST:
                buffers = info.get_buffer_list()
                verdicts = [callback(buffers.get(i)) for i in range(buffers.length())]  # every buffer is shown
                keep = all(verdicts)
            else:
                keep = callback(info.get_buffer())
            return gst.PadProbeReturn.OK if keep else gst.PadProbeReturn.DROP

        kinds = gst.PadProbeType.BUFFER | gst.PadProbeType.BUFFER_LIST
        watched = self.element(element).get_static_pad(pad)
        self._probes.append((watched, watched.add_probe(kinds, probe)))


def quoted(value: str) -> str:
    """A property value as launch text: quoted, so that blanks, ``!`` and quotes in it are safe."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def buffer_of(data: np.ndarray) -> Any:
    """A fresh buffer without a time, holding a copy of ``data`` (any contiguous array)."""
    gst = load()
    flat = data.reshape(-1).view(np.uint8)
    buffer = gst.Buffer.new_allocate(None, flat.nbytes, None)
    ok, mapped = buffer.map(gst.MapFlags.WRITE)
    if not ok:
        raise PipelineError("GStreamer could not map a buffer for writing")
    np.frombuffer(mapped.data, np.uint8)[:] = flat
    buffer.unmap(mapped)
    return buffer


class EventLoop:
    """A GLib main loop in a thread of its own, for libraries that need one (the RTSP server).

    ``context`` is what such a library is attached to.
    """

    def __init__(self) -> None:
        load()
        import importlib

        glib = importlib.import_module("gi.repository.GLib")
        self.context = glib.MainContext.new()
        self._loop = glib.MainLoop.new(self.context, False)
        self._thread = threading.Thread(target=self._loop.run, name="glib", daemon=True)
        self._thread.start()
        while not self._loop.is_running():  # until then quit() would not be heard
            time.sleep(0.001)

    def stop(self) -> None:
        """End the loop; blocks until its thread is gone."""
        self._loop.quit()
        self._thread.join(5.0)


def _gerror_text(error: Exception) -> str:
    return str(getattr(error, "message", error))


# Some elements pass on another's debug text: the line in its C code, and element names that differ each time.
_CODE_LINE = re.compile(r"\S+\.c\(\d+\): [^\n]*\n")


def _plain(message: Any) -> Message | None:
    gst = load()
    source = message.src.get_name() if message.src else ""
    if message.type in (gst.MessageType.ERROR, gst.MessageType.WARNING):
        parse = message.parse_error if message.type == gst.MessageType.ERROR else message.parse_warning
        error, _debug = parse()
        kind = "error" if message.type == gst.MessageType.ERROR else "warning"
        # The factory's name: "v4l2src: ..." reads the same each time a pipeline is built, "v4l2src7: ..." does not.
        factory = message.src.get_factory() if isinstance(message.src, gst.Element) else None
        who = factory.get_name() if factory else source
        text = " ".join(_CODE_LINE.sub("", masked(error.message)).split())
        return Message(kind, source, f"{who}: {text}", error.domain, error.code)
    if message.type == gst.MessageType.EOS:
        return Message("eos", source, "end of stream")
    if message.type == gst.MessageType.SEGMENT_DONE:
        return Message("segment-done", source, "end of the segment")
    if message.type == gst.MessageType.ELEMENT:
        structure = message.get_structure()
        names = [structure.nth_field_name(i) for i in range(structure.n_fields())]
        fields = {name: text for name in names if (text := structure.get_string(name)) is not None}
        return Message("element", source, structure.to_string(), name=structure.get_name(), fields=fields)
    return None


_TOKEN = re.compile(r"""!|(?:"(?:\\.|[^"\\])*"|'[^']*'|\{[^}]*\}|\[[^]]*\]|[^\s!"'{[])+""")


def element_names(text: str) -> list[str]:
    """The element names of a launch text in order: first words, and words after a ``!`` or a pad reference.

    Properties, caps and references (``name.``, also quoted ones with blanks) are passed over, so that a missing
    element is found by name before GStreamer's parser gives up at the first problem.
    """
    names = []
    for token in _TOKEN.findall(text):
        if re.fullmatch(r"[a-zA-Z_][\w-]*", token):
            names.append(token)
    return names
