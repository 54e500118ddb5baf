"""The camera: one thread that opens the source, hands on its newest picture, and opens it again when it is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from edgecam_core import gst
from edgecam_core.camera import sources
from edgecam_core.camera.backoff import Backoff
from edgecam_core.camera.pace import Arrivals, RateLimit
from edgecam_core.camera.picture import Picture
from edgecam_core.camera.plan import SourcePlan, compose
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.camera.stamps import StampClock
from edgecam_core.errors import ImageError, MissingDependency, PipelineError, SourceError
from edgecam_core.tally import Meter, Tally

_POLL = 0.1
_FIRST_PICTURE = 10.0
"""Seconds a source may take to its first picture, if stall_timeout is shorter."""
_ERROR_GRACE = 0.5
"""Decoders report errors and go on; an error is fatal when no picture comes for this long after it."""


class _Ended(Exception):
    """The source came to its natural end."""


@dataclass(frozen=True)
class CameraStatus:
    """``state`` is stopped, opening, streaming, retrying, ended or failed; ``problem`` the last error while it lasts.

    ``last_frame_age`` is in seconds, nan before the first picture; ``drops`` counts pictures that were captured but
    replaced by a newer one before anybody took them.
    """

    state: str
    problem: str
    frames: int
    fps: float
    drops: int
    bad: int
    reconnects: int
    last_frame_age: float
    width: int
    height: int


def prepare(settings: CameraSettings) -> tuple[SourcePlan, str]:
    """The plan and the launch text for these settings on this machine.

    Raises:
        SettingError: a setting cannot work, also after looking at the world (missing file, ...).
        MissingDependency: a GStreamer element is not installed.
    """
    sources.look(settings)
    plan = sources.plan(settings, gst.has_element)
    text = compose(plan, settings, gst.has_element)
    gst.require_elements(text)
    return plan, text


class Camera:
    """Keeps delivering pictures from one source.

    Args:
        settings: what to open; checked by :func:`prepare` here already.
        on_picture: called on the camera's thread with every picture; while it works, newer pictures replace each
            other. ImageError from it counts the picture as bad; any other exception ends the camera.
        ros_now_ns: the ROS clock.
        on_event: called on the camera's thread with (is_problem, text) when the state changes.
        on_failure: called on the camera's thread with an exception nobody expected; the camera is then dead.

    Raises:
        SettingError, MissingDependency: as :func:`prepare`.
    """

    def __init__(
        self,
        settings: CameraSettings,
        on_picture: Callable[[Picture], None],
        ros_now_ns: Callable[[], int] = time.time_ns,
        on_event: Callable[[bool, str], None] = lambda _problem, _text: None,
        on_failure: Callable[[Exception], None] = lambda _error: None,
    ) -> None:
        self.plan, self.text = prepare(settings)
        self.settings = settings
        self._on_picture = on_picture
        self._ros_now_ns = ros_now_ns
        self._on_event = on_event
        self._on_failure = on_failure
        self._stopping = threading.Event()
        self._wake = threading.Event()  # ends a wait or a session early: stop or changed settings
        self._thread: threading.Thread | None = None
        self._pipeline: gst.Pipeline | None = None
        self._limit = RateLimit(0.0 if self.plan.asked else settings.framerate)
        self._meter = Meter()
        self._tally = Tally()
        self._arrivals = Arrivals()
        self._state, self._problem = "stopped", ""
        self._size = (0, 0)
        self._reconnects = 0
        self._sequence = 0
        self._last_frame = float("nan")
        self._clock = StampClock(ros_now_ns, self._running_time)

    def start(self) -> None:
        """Begin to deliver, from a thread of its own. Returns at once; a camera that is running stays as it is."""
        if self._thread is None:
            self._stopping.clear()
            self._wake.clear()
            self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Free the device. Blocks until the thread has ended: as long as one ``on_picture`` and 0.2 s at most, plus
        what a network source needs to say goodbye."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._state = "stopped" if self._state != "failed" else "failed"

    def change(self, settings: CameraSettings) -> None:
        """Take over new settings; the source is opened again only if its pipeline is another one then.

        Raises:
            SettingError, MissingDependency: as :func:`prepare`; the old settings stay in force.
        """
        plan, text = prepare(settings)
        reopen = text != self.text
        self.settings, self.plan, self.text = settings, plan, text
        self._limit = RateLimit(0.0 if plan.asked else settings.framerate)
        if reopen:
            self._wake.set()

    def status(self) -> CameraStatus:
        """How it goes; from any thread."""
        now = time.monotonic()
        width, height = self._size
        return CameraStatus(
            state=self._state,
            problem=self._problem,
            frames=self._meter.count,
            fps=self._meter.rate(now),
            drops=self._arrivals.drops,
            bad=sum(self._tally.totals().values()),
            reconnects=self._reconnects,
            last_frame_age=now - self._last_frame,
            width=width,
            height=height,
        )

    def troubles(self) -> str:
        """What went wrong with single pictures since the last call, as one line; empty when all was well."""
        return self._tally.take()

    def _running_time(self) -> int:
        return self._pipeline.running_time_ns() if self._pipeline else 0

    def _run(self) -> None:
        backoff = Backoff()
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                frames = self._meter.count
                try:
                    self._session()
                    continue  # stopped, or opened again with changed settings
                except _Ended:
                    self._enter("ended", "", f"{self._name()} has ended")
                    self._wake.wait()
                    continue
                except (PipelineError, SourceError, MissingDependency) as error:
                    problem = str(error)
                if self._meter.count > frames:
                    backoff.reset()
                delay = backoff.next(self.settings.reconnect_max)
                self._enter("retrying", problem, f"{self._name()}: {problem}; trying again")
                if not self._wake.wait(delay):
                    self._reconnects += 1
        except Exception as error:
            self._enter("failed", str(error), f"{self._name()}: {error}")
            self._on_failure(error)

    def _enter(self, state: str, problem: str, text: str) -> None:
        """A new state; a problem that only repeats itself is no news."""
        news = (state, problem) != (self._state, self._problem) and not (problem and problem == self._problem)
        self._state, self._problem = state, problem
        if news:
            self._on_event(bool(problem), text)

    def _name(self) -> str:
        return sources.shown(self.settings)

    def _session(self) -> None:
        """From opening to the end: returns when told to wake up, raises when the source is lost or has ended."""
        plan, text = self.plan, self.text
        if self._state != "retrying":
            self._state = "opening"
        pipeline = self._pipeline = gst.Pipeline(text)
        try:
            segments = plan.loops and self.settings.loop and self._start_looping(pipeline)
            pipeline.start(timeout=0.0)
            self._pump(pipeline, plan, segments)
        except PipelineError as error:
            raise SourceError(f"{error} ({plan.hint})" if plan.hint else str(error)) from error
        finally:
            pipeline.stop()
            self._pipeline = None
            self._arrivals.restarted()

    def _start_looping(self, pipeline: gst.Pipeline) -> bool:
        """Play as a segment that can be repeated without a gap; False where the container cannot seek."""
        end = time.monotonic() + _FIRST_PICTURE
        while not pipeline.preroll(_POLL):
            if self._wake.is_set() or time.monotonic() > end:
                return False
        return pipeline.seek_to_start(flush=True, segment=True)

    def _pump(self, pipeline: gst.Pipeline, plan: SourcePlan, segments: bool) -> None:
        began = time.monotonic()
        last = began
        pts = pictures = 0
        error, error_at = "", 0.0
        while not self._wake.is_set():
            sample = pipeline.pull(_POLL)
            now = time.monotonic()
            if sample is not None:
                last, error = now, ""
                with sample:
                    # At the seam of a loop the last and the first picture have the same time.
                    if not (plan.paced and pictures and sample.pts_ns <= pts):
                        self._deliver(sample)
                pts, pictures = sample.pts_ns, pictures + 1
                self._arrivals.update(*pipeline.arrivals())
            for message in pipeline.messages():
                if message.kind == "error" and not error:
                    error, error_at = message.text, now
                elif message.kind == "segment-done" and not pipeline.seek_to_start(flush=False, segment=segments):
                    raise SourceError("the file cannot be played from its start again")
                elif message.kind == "eos":
                    self._at_end(error, pictures)
                    pictures = 0
                    pipeline.seek_to_start()
            if sample is None and error and (not pictures or now - error_at > _ERROR_GRACE):
                raise SourceError(error)
            if sample is None:
                self._check_stall(now - last, pictures)

    def _at_end(self, error: str, pictures: int) -> None:
        """What the end of the stream means; returns when the file is to be played again."""
        if error:
            raise SourceError(error)
        if not self.plan.ends:
            raise SourceError("the stream ended")
        if not pictures:
            raise SourceError("there are no pictures in it")
        if not self.settings.loop:
            raise _Ended

    def _check_stall(self, silence: float, pictures: int) -> None:
        allowed = self.settings.stall_timeout
        if pictures == 0 and allowed:
            allowed = max(allowed, _FIRST_PICTURE)
        if allowed and silence > allowed:
            what = "no picture" if pictures else "no first picture"
            raise SourceError(f"{what} for {allowed:g} s")

    def _deliver(self, sample: gst.Sample) -> None:
        if not self._limit.take(sample.pts_ns):
            return
        now = time.monotonic()
        self._last_frame = now
        stamp = self._clock.stamp(sample.pts_ns) if self.settings.use_gst_timestamps else self._clock.now()
        self._sequence += 1
        try:
            picture = Picture(sample, stamp, self.settings.optical_frame, self._sequence)
            self._on_picture(picture)
        except ImageError as error:
            self._tally.add(str(error))
            return
        self._meter.add(now)
        if self._state != "streaming" or self._size != (picture.width, picture.height):
            self._size = (picture.width, picture.height)
            text = f"{self._name()} delivers {picture.width}x{picture.height} {sample.format or sample.media_type}"
            self._state = "opening"
            self._enter("streaming", "", text)
