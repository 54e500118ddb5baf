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

"""Selects the most efficient executor of the installed rclpy that supports coroutine callbacks."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from rclpy.executors import SingleThreadedExecutor

# Older events executors (on Jazzy up to 7.1.10) raise TypeError for a service with a coroutine callback, and the client
# gets no response: https://github.com/ros2/rclpy/issues/1473.
_EVENTS_SINCE = (9, 1, 2)


def make_executor() -> Any:
    """rclpy's events executor from 9.1.2 on (Kilted; half the CPU load when idle), else the single-threaded one."""
    if _rclpy_version() < _EVENTS_SINCE:
        return SingleThreadedExecutor()
    try:
        from rclpy.experimental.events_executor import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor()


def _rclpy_version() -> tuple[int, ...]:
    """rclpy's version by the name of its metadata; empty if there is none. importlib.metadata takes 30 ms to say it."""
    for path in Path(inspect.getfile(SingleThreadedExecutor)).parents[1].glob("rclpy-*info"):
        if match := re.match(r"rclpy-(\d+(?:\.\d+)*)", path.name):
            return tuple(map(int, match[1].split(".")))
    return ()
