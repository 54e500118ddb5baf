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

"""``cameras FILE``: one camera node per entry of a YAML file, each in a separate process and namespace.

XML launch files have no loops, so this program starts the nodes. Separate processes isolate the cameras: neither a
crash nor the GIL of one camera affects the others.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import yaml
from edgecam_core.camera import fleet
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.errors import EdgecamError
from edgecam_core.files import descriptor_path, in_memory

_NODE = "camera_driver"
_STOP_SECONDS = 10.0
_RESPAWN_SECONDS = 2.0
_PR_SET_PDEATHSIG = 1
_ENDING = (signal.SIGINT, signal.SIGTERM)


class Command(NamedTuple):
    """A program's command line, and the descriptors of the files in memory that it reads."""

    words: tuple[str, ...]
    files: tuple[int, ...] = ()


class Fleet:
    """The camera processes. ``run`` blocks until a signal, until all have ended, or one fails without ``respawn``."""

    def __init__(self, commands: dict[str, Command], respawn: bool) -> None:
        self._commands = commands
        self._respawn = respawn
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._due: dict[str, float] = {}
        self._stopping = False
        self._worst = 0

    def run(self) -> int:
        """Start all cameras and wait. Returns 0, or the exit code of the camera that failed without ``respawn``."""
        for number in _ENDING:
            signal.signal(number, self._on_signal)
        for name in self._commands:
            self._start(name)
        while not self._stopping and not self._worst and (self._running or self._due):
            self._check_processes()
            time.sleep(0.1)
        self._stop()
        return 0 if self._stopping else self._worst

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def _start(self, name: str) -> None:
        words, files = self._commands[name]
        self._running[name] = subprocess.Popen(words, pass_fds=files, preexec_fn=_die_with_parent)

    def _check_processes(self) -> None:
        for name, process in list(self._running.items()):
            code = process.poll()
            if code is None:
                continue
            del self._running[name]
            if code == 0:
                continue
            if self._respawn:
                self._due[name] = time.monotonic() + _RESPAWN_SECONDS
                print(f"camera {name} ended with exit code {code}; restarting it", file=sys.stderr, flush=True)
            else:
                self._worst = code if code > 0 else 128 - code
                text = f"error: camera {name} ended with exit code {code}; stopping the others"
                print(text, file=sys.stderr, flush=True)
        for name, when in list(self._due.items()):
            if time.monotonic() >= when:
                del self._due[name]
                self._start(name)

    def _stop(self) -> None:
        for process in self._running.values():
            process.send_signal(signal.SIGINT)
        end = time.monotonic() + _STOP_SECONDS
        for process in self._running.values():
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def node_command(camera: CameraSettings, namespace: str, log_level: str) -> Iterator[Command]:
    """The command of one camera. Parameters are passed in a file, because command lines would expose passwords."""
    changed = {name: value for name, value in camera.as_dict().items() if value != camera.specs()[name].default}
    parameters = {"/**": {"ros__parameters": {"camera_name": camera.camera_name, **changed}}}
    where = f"{namespace.rstrip('/')}/{camera.camera_name}"
    with in_memory(yaml.safe_dump(parameters)) as file:
        words = (
            *(sys.executable, "-m", "edgecam_camera.node", "--ros-args"),
            *("-r", f"__ns:={where}", "-r", f"__node:={_NODE}", "--params-file", descriptor_path(file)),
            *("--log-level", log_level),
        )
        yield Command(words, (file,))


def _die_with_parent() -> None:
    """In the child: end if the parent is killed, to free the camera; block signals until handlers are installed."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def main(args: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="cameras", description="Start every camera of a YAML file.")
    parser.add_argument("file", type=Path, help="YAML file with a list 'cameras'")
    parser.add_argument("--namespace", default="", help="namespace before the names of the cameras")
    parser.add_argument("--respawn", default="false", help="true: restart a failed camera")
    parser.add_argument("--log-level", default="info", help="log level of the camera nodes")
    parser.add_argument("--names", action="store_true", help="only print the names of the cameras, as JSON")
    words = list(sys.argv[1:] if args is None else args)
    if "--ros-args" in words:  # ros2 launch appends its remappings
        words = words[: words.index("--ros-args")]
    given = parser.parse_args(words)
    try:
        cameras = fleet.load(given.file)
    except EdgecamError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    if given.names:
        print(json.dumps([camera.camera_name for camera in cameras]))
        return 0
    with ExitStack() as stack:
        commands = {
            camera.camera_name: stack.enter_context(node_command(camera, given.namespace, given.log_level))
            for camera in cameras
        }
        return Fleet(commands, given.respawn.lower() in ("true", "1")).run()


if __name__ == "__main__":
    sys.exit(main())
