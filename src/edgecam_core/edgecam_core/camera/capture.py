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

"""The camera: one thread that opens the source, delivers its newest frame, and reopens a lost source."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edgecam_core.camera import sources
from edgecam_core.camera.backoff import Backoff
from edgecam_core.camera.captured_frame import CapturedFrame
from edgecam_core.camera.pace import Arrivals, RateLimit
from edgecam_core.camera.preparing import prepare, resolve
from edgecam_core.camera.session import Ended, Session
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.camera.stamps import StampClock
from edgecam_core.camera.status import CameraStatus
from edgecam_core.camera.views import combined
from edgecam_core.counters import Counters, Meter
from edgecam_core.errors import ImageError, MissingDependency, PipelineError, SourceError
from edgecam_core.media import gst


class Camera:
    """Delivers the frames of one source.

    Args:
        settings: the source and its settings, checked by :func:`prepare`.
        on_frame: called on the camera's thread with every frame. While it runs, newer frames replace each other. If it
            raises ImageError, the frame counts as bad; any other exception ends the camera.
        ros_now_ns: returns the ROS time in nanoseconds.
        on_event: called on the camera's thread with (is_problem, text) when the state changes.
        on_failure: called on the camera's thread with an unexpected exception, which ends the camera.
        has_consumers: whether anything uses the frames; called on GStreamer's threads. See the setting ``decode_idle``.

    Raises:
        SettingError, MissingDependency: as :func:`prepare`.
    """

    def __init__(
        self,
        settings: CameraSettings,
        on_frame: Callable[[CapturedFrame], None],
        ros_now_ns: Callable[[], int] = time.time_ns,
        on_event: Callable[[bool, str], None] = lambda _problem, _text: None,
        on_failure: Callable[[Exception], None] = lambda _error: None,
        has_consumers: Callable[[], bool] = lambda: True,
    ) -> None:
        self.plan, self.text = prepare(settings)
        self._opened = self.plan
        self.settings = settings
        self._on_frame = on_frame
        self._on_event = on_event
        self._on_failure = on_failure
        self._has_consumers = has_consumers
        self._stopping = threading.Event()
        self._wake = threading.Event()  # ends a wait or a session early: stop or changed settings
        self._thread: threading.Thread | None = None
        self._session: Session | None = None
        self._take_coded: Callable[[gst.MappedSample], None] | None = None
        self._limit = RateLimit(0.0 if self.plan.sized_by_device else settings.framerate)
        self._meter = Meter()
        self._counters = Counters()
        self._arrivals = Arrivals()
        self._state, self._problem = "stopped", ""
        self._decoder = ""
        self._flip = settings.flip_method  # of the open pipeline
        self._size = (0, 0)
        self._reconnects = self._sequence = self._held = self._skipped = 0
        self._last_frame = float("nan")
        self._clock = StampClock(ros_now_ns, self._running_time)

    def start(self) -> None:
        """Start capturing in a separate thread. Returns at once; does nothing if already running."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop capturing and release the device.

        Blocks until the thread has ended: one ``on_frame`` call, up to 0.2 s, and the time that a network source needs
        to disconnect.
        """
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._state != "failed":
            self._state = "stopped"

    def change(self, settings: CameraSettings) -> None:
        """Apply new settings. The source is reopened only if its pipeline changes.

        Raises:
            SettingError, MissingDependency: as :func:`prepare`; the old settings remain in effect.
        """
        plan, text = prepare(settings)
        reopen = text != self.text
        self.settings, self.plan, self.text = settings, plan, text
        self._limit = RateLimit(0.0 if plan.sized_by_device else settings.framerate)
        if reopen:
            self._wake.set()

    def on_coded(self, take_coded: Callable[[gst.MappedSample], None] | None) -> None:
        """Set the callback for the access units of a coded source, called on the camera's thread; None: no callback.

        The first access units are from the last seconds before the call.
        """
        self._take_coded = take_coded
        if session := self._session:
            session.take_coded = take_coded

    @property
    def can_step(self) -> bool:
        """Whether the open source waits for :meth:`step` before each frame."""
        session = self._session
        return bool(session and session.feeder and session.feeder.can_step)

    def step(self) -> None:
        """Release the next frame of a source for which ``can_step`` is true."""
        if (session := self._session) and session.feeder:
            session.feeder.step()

    def status(self) -> CameraStatus:
        """The current status; thread-safe."""
        now = time.monotonic()
        width, height = self._size
        session = self._session
        return CameraStatus(
            state=self._state,
            problem=self._problem,
            frames=self._meter.count,
            fps=self._meter.rate(now),
            drops=self._arrivals.drops,
            held=self._held + (session.gate.held if session and session.gate else 0),
            skipped=self._skipped + (session.gate.skipped if session and session.gate else 0),
            bad=sum(self._counters.totals().values()),
            reconnects=self._reconnects,
            last_frame_age=now - self._last_frame,
            width=width,
            height=height,
            waiting=self._waiting(session),
        )

    def _waiting(self, session: Session | None) -> str:
        if self._state == "streaming":
            return ""
        if self._problem:
            return self._problem
        if session and session.gate and session.gate.held:
            return f"{self._name()} sends data, but no keyframe has arrived yet"
        return f"{sources.activity(self.settings)} {self._name()}" if self._state == "opening" else self._state

    def problems(self) -> str:
        """The errors of individual frames since the last call, as one line; empty if there were none."""
        return self._counters.take()

    def chosen(self) -> str:
        """The elements selected for this source on this machine, and why."""
        return "; ".join([*self._opened.notes, *([self._decoder] if self._decoder else [])])

    def _log_decoder(self) -> None:
        """Log the decoder that GStreamer selected, if the settings leave the selection to GStreamer."""
        element = self._session.pipeline.video_decoder() if self._session else ""
        if not element or any(note.startswith("decoder: ") for note in self._opened.notes):
            return
        note = f"decoder: {element}, as set"
        if self.settings.decoder != element:
            note = f"decoder: auto → {element}, because GStreamer ranks it highest for this stream"
        if note != self._decoder:
            self._decoder = note
            self._on_event(False, note)

    def _running_time(self) -> int:
        session = self._session
        return session.pipeline.running_time_ns() if session else 0

    def _run(self) -> None:
        backoff = Backoff()
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                if self._stopping.is_set():  # stop() may have set _wake just before it was cleared
                    break
                frames = self._meter.count
                try:
                    self._open_and_deliver()
                    continue  # stopped, or to be reopened with changed settings
                except Ended:
                    self._enter("ended", "", f"{self._name()} has ended")
                    self._wake.wait()
                    continue
                except (PipelineError, SourceError, MissingDependency) as error:
                    problem = f"{'pipeline' if self.settings.pipeline else 'source'} '{self._name()}': {error}"
                if self._meter.count > frames:
                    backoff.reset()
                self._enter("retrying", problem, f"{problem}; retrying")
                if not self._wake.wait(backoff.next(self.settings.reconnect_max)):
                    self._reconnects += 1
        except Exception as error:
            self._enter("failed", str(error), f"{self._name()}: {error}")
            self._on_failure(error)

    def _enter(self, state: str, problem: str, text: str) -> None:
        """Set a new state; report it unless it repeats the same problem."""
        changed = state != self._state if not problem else problem != self._problem
        self._state, self._problem = state, problem
        if changed:
            self._on_event(bool(problem), text)

    def _name(self) -> str:
        return sources.shown(self.settings)

    def _open_and_deliver(self) -> None:
        if self._state != "retrying":
            self._state = "opening"
        self._opened, text = resolve(self.settings, (self.plan, self.text), self._wake)
        if self._wake.is_set():
            return
        session = Session(
            self._opened, text, lambda: self.settings, self._wake, self._deliver, self._counters, self._arrivals,
            lambda: self.settings.decode_idle == "all" or self._has_consumers(),
        )  # fmt: skip
        session.take_coded = self._take_coded
        self._session = session
        self._flip = self.settings.flip_method
        try:
            session.run()
        finally:
            self._held += session.gate.held if session.gate else 0
            self._skipped += session.gate.skipped if session.gate else 0
            self._session = None

    def _view(self) -> str:
        """The flip between source and published frame: the orientation tag of the source, then flip_method."""
        session = self._session
        return combined(session.orientation() if session else "none", self._flip)

    def _stamp(self, sample: gst.MappedSample) -> int:
        if self._opened.stamped:
            return sample.pts_ns
        return self._clock.stamp(sample.pts_ns) if self.settings.use_gst_timestamps else self._clock.now()

    def _deliver(self, sample: gst.MappedSample) -> None:
        if not self._limit.take(sample.pts_ns):
            return
        now = time.monotonic()
        self._last_frame = now
        stamp = self._stamp(sample)
        self._sequence += 1
        try:
            frame = CapturedFrame(sample, stamp, self.settings.optical_frame, self._sequence, self._view())
            self._on_frame(frame)
        except ImageError as error:
            self._counters.add(str(error))
            return
        self._meter.add(now)
        self._size = (frame.width, frame.height)
        if self._state != "streaming":
            self._log_decoder()
            name = sample.format or sample.media_type
            self._enter("streaming", "", f"{self._name()} delivers {frame.width}x{frame.height} {name}")
