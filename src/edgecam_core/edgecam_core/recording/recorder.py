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

"""The recorder: takes messages without blocking and writes them in its own thread."""

from __future__ import annotations

import errno
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from edgecam_core.counters import Counters, Meter
from edgecam_core.errors import EdgecamError
from edgecam_core.files import free_bytes
from edgecam_core.recording.bag import MEGABYTE, Bag
from edgecam_core.recording.message import Message, RecordingError
from edgecam_core.recording.settings import RecorderSettings

SLOW_DISK = "dropped, the disk is too slow"


class Recorder:
    """Writes recordings, one at a time.

    :meth:`write` may be called from any thread and never blocks. Messages above queue_megabytes are dropped and counted
    in ``counters``. A recording that cannot continue (full disk, limit reached) is closed; everything written before
    remains readable. ``problem`` is the reason, until the next :meth:`start`.

    ``messages`` and ``bytes`` count the messages written to the current or last recording.

    Args:
        on_problem: called with each ``problem``, in the recorder's thread or in that of the caller.
    """

    def __init__(
        self, settings: RecorderSettings, on_problem: Callable[[EdgecamError], object] = lambda _: None
    ) -> None:
        self.settings = settings
        self.counters = Counters()
        self.rate = Meter()
        self.problem: RecordingError | None = None
        self.messages = self.bytes = 0
        self._on_problem = on_problem
        self._changed = threading.Condition()
        self._queue: deque[Message] = deque()
        self._queued = 0  # bytes
        self._closing = False
        self._disk = threading.Lock()  # held while the bag is used
        self._bag: Bag | None = None
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    @property
    def recording(self) -> bool:
        """Whether a recording is running."""
        return self._bag is not None

    @property
    def file(self) -> Path | None:
        """The file that is being written."""
        bag = self._bag
        return bag.file if bag else None

    @property
    def megabytes(self) -> float:
        """Size of the current recording."""
        bag = self._bag
        return bag.size / MEGABYTE if bag else 0.0

    @property
    def waiting_megabytes(self) -> float:
        """Size of the queue."""
        return self._queued / MEGABYTE

    def update(self, settings: RecorderSettings) -> None:
        """Use other settings; only those that may change at run time take effect."""
        self.settings = settings
        if bag := self._bag:
            bag.settings = settings

    def start(self, path: Path | None = None) -> Path:
        """Start a recording; returns its path. Blocks for the disk.

        Args:
            path: None for a new folder, named after the local time.

        Raises:
            RecordingError: it cannot be created, or a recording is running.
        """
        with self._disk:
            if self._bag is not None:
                raise RecordingError(f"already recording to {self._bag.path}")
            self._bag = self._new_bag(path)
            self.problem = None
            self.messages = self.bytes = 0
            return self._bag.path

    def stop(self) -> Path | None:
        """Write the queue and close the recording; returns its path, None if there is none. Blocks for the disk.

        Raises:
            RecordingError: it could not be completed; everything written before is readable.
        """
        with self._disk:
            bag = self._written()
            return self._continue_with(None, bag) if bag else None

    def snapshot(self) -> Path:
        """Complete the current recording and start the next one; returns the path of the completed one.

        Messages that arrive meanwhile belong to the next one.

        Raises:
            RecordingError: no recording is running, or the next one cannot be created; then the current one goes on.
        """
        with self._disk:
            bag = self._written()
            if bag is None:
                raise RecordingError("no recording is running")
            return self._continue_with(self._new_bag(None), bag)

    def write(self, message: Message) -> None:
        """Queue a message; ignored if no recording is running."""
        if self._bag is None:
            return
        with self._changed:
            if self._queued + len(message.data) > self.settings.queue_megabytes * MEGABYTE:
                self.counters.add(f"{message.topic.name}: {SLOW_DISK}")
                return
            self._queue.append(message)
            self._queued += len(message.data)
            self._changed.notify()

    def close(self) -> None:
        """Stop recording and end the thread. Blocks until everything is written.

        Raises:
            RecordingError: as :meth:`stop`.
        """
        try:
            self.stop()
        finally:
            with self._changed:
                self._closing = True
                self._changed.notify()
            self._thread.join()

    def _new_bag(self, path: Path | None) -> Bag:
        directory = Path(self.settings.directory).expanduser()
        try:
            self._check_space(path.parent if path else directory)
            return Bag(path or _free_name(directory), self.settings)
        except OSError as error:
            raise RecordingError(f"{path or directory} cannot be created: {error.strerror}") from error

    def _written(self) -> Bag | None:
        """The running bag, once the queue is written to it."""
        bag = self._bag
        if bag is not None and not self._write_queue(bag):
            raise self.problem or RecordingError(f"{bag.path} has ended")
        return bag

    def _continue_with(self, following: Bag | None, bag: Bag) -> Path:
        """Close a bag after the following one has taken its place: there is no moment without a recording."""
        self._bag = following
        try:
            bag.close()
        except OSError as error:
            raise RecordingError(
                f"{bag.path} could not be completed: {error.strerror}; its complete chunks are readable"
            ) from error
        return bag.path

    def _run(self) -> None:
        due = time.monotonic()
        while not self._closing:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._queue, self.settings.flush_seconds)
            with self._disk:
                bag = self._bag
                if bag is not None and self._write_queue(bag) and time.monotonic() >= due:
                    self._attempt(lambda bag=bag: self._each_flush(bag), bag)  # type: ignore[misc]
                    due = time.monotonic() + self.settings.flush_seconds
            self._discard_queue()

    def _discard_queue(self) -> None:
        """Discard messages that arrived between two recordings."""
        with self._changed:
            if self._bag is None:
                self._queue.clear()
                self._queued = 0

    def _write_queue(self, bag: Bag) -> bool:
        """Write the queue; returns False if the recording had to end."""
        while True:
            with self._changed:
                if not self._queue:
                    return True
                message = self._queue.popleft()
                self._queued -= len(message.data)
            if not self._attempt(lambda message=message: bag.write(message), bag):  # type: ignore[misc]
                return False
            self.messages += 1
            self.bytes += len(message.data)
            self.rate.add(time.monotonic(), float(len(message.data)))

    def _each_flush(self, bag: Bag) -> None:
        bag.flush()
        while free_bytes(bag.path.parent) / MEGABYTE < self.settings.min_free_megabytes and bag.drop_file():
            self.counters.add("oldest file deleted, the disk is almost full")
        self._check_space(bag.path.parent)
        if bag.over_limit():
            raise RecordingError(
                f"parameter 'max_megabytes' is {self.settings.max_megabytes:g}: {bag.path} has reached this size"
            )

    def _check_space(self, folder: Path) -> None:
        """Raise RecordingError if less than min_free_megabytes is free."""
        free, required = free_bytes(folder) / MEGABYTE, self.settings.min_free_megabytes
        if free < required:
            raise RecordingError(
                f"parameter 'min_free_megabytes' is {required:g}: the disk of {folder} has {free:.0f} MB free; "
                "delete old recordings or lower it"
            )

    def _attempt(self, step: Callable[[], object], bag: Bag) -> bool:
        """Call a function that uses the bag; an error ends the recording. Returns False after an error."""
        try:
            step()
        except RecordingError as error:
            self._end(bag, error, bag.close)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            reason = "the disk is full" if full else str(error.strerror or error)
            text = f"recording to {bag.path} ended: {reason}; everything written before is readable"
            self._end(bag, RecordingError(text), bag.abandon)
        except Exception as error:  # a defect must not end this thread
            self._end(bag, RecordingError(f"recording to {bag.path} ended: {EdgecamError.of(error)}"), bag.abandon)
        else:
            return True
        return False

    def _end(self, bag: Bag, problem: RecordingError, close: Callable[[], None]) -> None:
        try:
            close()
        except OSError:
            self.counters.add("metadata.yaml could not be written")
        self._bag = None
        self.problem = problem
        self._on_problem(problem)


def _free_name(directory: Path) -> Path:
    """The path of a new folder, named after the local time."""
    name = time.strftime("edgecam-%Y%m%d-%H%M%S")
    tries = (directory / (name if number == 0 else f"{name}-{number}") for number in range(1000))
    return next(path for path in tries if not path.exists())
