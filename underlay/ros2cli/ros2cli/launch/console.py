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

"""Terminal output and log files of a launch, in the formats of `ros2 launch`."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TextIO

TARGETS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "screen": (("screen",), ("screen",)),
    "log": (("log",), ("log", "screen")),
    "both": (("log", "screen"), ("log", "screen")),
    "own_log": (("own_log",), ("own_log",)),
    "full": (("log", "screen", "own_log"), ("log", "screen", "own_log")),
}
"""Destinations of stdout and of stderr for each value of `output`."""


def log_root(environment: Mapping[str, str]) -> Path:
    """`$ROS_LOG_DIR`, otherwise `$ROS_HOME/log`, otherwise `~/.ros/log`."""
    root = environment.get("ROS_LOG_DIR")
    if not root:
        root = os.path.join(environment.get("ROS_HOME") or os.path.join("~", ".ros"), "log")
    return Path(os.path.normpath(os.path.expanduser(root)))


def make_log_dir(root: Path) -> Path:
    """A new folder for this launch, and the link `latest` to it. Raises OSError."""
    stamp = datetime.now().strftime("%Y-%m-%d-%H-%M-%S-%f")
    folder = root / f"{stamp}-{socket.gethostname()}-{os.getpid()}"
    folder.mkdir(parents=True)
    latest = root / "latest"
    if latest.is_symlink() or not latest.exists():
        fresh = root / f".latest-{os.getpid()}"
        fresh.symlink_to(folder)
        fresh.replace(latest)
    return folder


class Console:
    """Writes to the screen (stdout) and to the files of one launch.

    `log_dir` is None if no log folder is writable; then output for `log` and `own_log` is discarded. `on_broken` is
    called once when stdout is closed.
    """

    def __init__(self, log_dir: Path | None, debug: bool = False) -> None:
        self.log_dir = log_dir
        self.debug = debug
        self.on_broken: Callable[[], None] = lambda: None
        self._files: dict[str, TextIO] = {}
        self._screen = True

    def log(self, level: str, name: str, text: str) -> None:
        """Write a line of the launcher itself: `[INFO] [name]: text`."""
        if level == "DEBUG" and not self.debug:
            return
        self._print(f"[{level}] [{name}]: {text}")
        self._write("launch.log", f"{time.time():.7f} [{level}] [{name}]: {text}")

    def line(self, process: str, output: str, is_stderr: bool, line: str) -> None:
        """Write a line of a process, prefixed with its name."""
        text = f"[{process}] {line}"
        for target in TARGETS[output][int(is_stderr)]:
            if target == "screen":
                self._print(text)
            elif target == "log":
                self._write("launch.log", f"{time.time():.7f} {text}")
            else:
                self._write(f"{process}-{'stderr' if is_stderr else 'stdout'}.log", text)
                self._write(f"{process}.log", text)

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _print(self, text: str) -> None:
        if not self._screen:
            return
        try:
            print(text, flush=True)
        except OSError:  # the reader of a pipe, or the terminal, has closed
            self._screen = False
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self.on_broken()

    def _write(self, name: str, text: str) -> None:
        if self.log_dir is None:
            return
        if name not in self._files:
            path = self.log_dir / name
            self._files[name] = path.open("w", encoding="utf-8", errors="replace", buffering=1)
        self._files[name].write(text + "\n")
