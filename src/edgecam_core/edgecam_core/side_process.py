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

"""Long computing beside live video: a function in a process of its own, with low priority.

A thread would hold the interpreter's lock and compete with the threads of the hot path at the same priority. What a
native library does to such a process, such as running out of memory, ends only that process.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from edgecam_core.errors import EdgecamError
from edgecam_core.priority import lower_priority, lower_session_priority

log = logging.getLogger(__name__)
Progress = Callable[[str], None]
Task = Callable[[Mapping[str, Any], Progress], Any]
_NICE = 10


class SideProcess:
    """Starts ``task(given, progress)`` in a new process; returns at once.

    The process ends when this one does, whatever ends this one.

    Args:
        what: what the process does, for error messages: "building a model".
        task: a function of a module that the new process can import; its result must be JSON.
        given: its argument, must be JSON.
    """

    def __init__(self, what: str, task: Task, given: Mapping[str, Any]) -> None:
        self._what = what
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - a pipe that nobody reads meanwhile could fill up
        name = f"{task.__module__}:{task.__qualname__}"
        self._child = subprocess.Popen(
            [sys.executable, "-m", __name__, name, json.dumps(given)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, start_new_session=True,
        )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._child.pid

    def result(self, progress: Progress) -> Any:
        """Block until the function returns; its result. Its warnings are logged in the calling thread.

        Args:
            progress: called in the calling thread; an exception from it ends the process and propagates.

        Raises:
            EdgecamError: the function raised an exception, or something else ended the process.
        """
        answer: dict[str, Any] = {}
        with self._child, self._errors:
            try:
                answer = self._read(progress)
            except BaseException:
                self.close()
                raise
            finally:
                code = self._child.wait()
            self._errors.seek(0)
            last = self._errors.read().decode(errors="replace").strip().rpartition("\n")[2]
        if "result" in answer:
            return answer["result"]
        why = f"the process for {self._what} ended with {_ending(code)}"
        raise EdgecamError(answer.get("error") or ": ".join(filter(None, (why, last))))

    def _read(self, progress: Progress) -> dict[str, Any]:
        """Read until the process closes its end of the pipe; its result or error, {} if it sent neither."""
        assert self._child.stdout is not None
        answer: dict[str, Any] = {}
        for line in self._child.stdout:
            message = json.loads(line)
            if "progress" in message:
                progress(message["progress"])
            elif "warning" in message:
                log.warning("%s", message["warning"])
            else:
                answer = message
        return answer

    def close(self) -> None:
        """End the process; does not wait."""
        self._child.terminate()


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


class _Report(logging.Handler):
    """Sends messages to the parent, warnings in the log too, one JSON object per line."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        # Native libraries print to descriptor 1, which is stderr from here on.
        self._stream = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)

    def send(self, kind: str, value: Any) -> None:
        self._stream.write(json.dumps({kind: value}) + "\n")
        self._stream.flush()

    def emit(self, record: logging.LogRecord) -> None:
        self.send("warning", record.getMessage())


def _end_with_parent() -> None:
    while os.read(0, 1):  # ends when the parent closes its end of the pipe, or dies
        pass
    os._exit(1)


def main() -> int:
    lower_priority(_NICE)
    lower_session_priority(_NICE)
    module, _, function = sys.argv[1].partition(":")
    report = _Report()
    logging.getLogger("edgecam_core").addHandler(report)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        task: Task = getattr(import_module(module), function)
        result = task(json.loads(sys.argv[2]), lambda text: report.send("progress", text))
    except EdgecamError as error:
        report.send("error", str(error))
        return 1
    except Exception as error:
        traceback.print_exc()
        report.send("error", f"{type(error).__name__}: {error}")
        return 1
    report.send("result", result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
