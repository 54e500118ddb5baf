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

"""Exponential back-off with jitter, so that cameras of the same server do not reconnect at the same time."""

from __future__ import annotations

import random


class Backoff:
    """Delays of 0.25, 0.5, 1, ... seconds, each shortened by a random amount of up to 30 %."""

    def __init__(self, first: float = 0.25, factor: float = 2.0) -> None:
        self._first = first
        self._factor = factor
        self.tries = 0

    def next(self, limit: float) -> float:
        """The next delay in seconds, at most ``limit``."""
        # The exponent is bounded: after a year of retries the power would overflow a float.
        delay = min(limit, self._first * self._factor ** min(self.tries, 30))
        self.tries += 1
        return delay * random.uniform(0.7, 1.0)

    def reset(self) -> None:
        """Start again from the first delay."""
        self.tries = 0
