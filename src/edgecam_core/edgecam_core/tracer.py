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

"""Records when each frame reaches each stage in this process, while ``edgecam trace`` collects the marks."""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

CAPACITY = 4096  # marks between two collections; ten seconds of a camera at 60 Hz


class Mark(NamedTuple):
    """The frame captured at ``stamp_ns`` reached ``stage`` at ``at_ns``; both are nanoseconds since 1970."""

    stage: str
    stamp_ns: int
    at_ns: int


class Tracer:
    """The marks of this process. Thread-safe."""

    def __init__(self) -> None:
        self.on = False
        self._marks: deque[Mark] = deque(maxlen=CAPACITY)

    def reached(self, stage: str, stamp_ns: int, ago_ns: int = 0) -> None:
        """Record that a frame reached a stage now, or ``ago_ns`` ago; ``stage`` is one of ``trace.STAGES``."""
        if self.on:
            self._marks.append(Mark(stage, stamp_ns, time.time_ns() - ago_ns))

    def take(self) -> list[Mark]:
        """The marks since the last call, oldest first."""
        return [self._marks.popleft() for _ in range(len(self._marks))]


TRACER = Tracer()
"""The tracer of this process."""
