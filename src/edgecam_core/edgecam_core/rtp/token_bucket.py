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

"""Token bucket: limits a rate and allows bursts."""

from __future__ import annotations


class TokenBucket:
    """Adds ``rate`` tokens per second, up to ``capacity``. Full at the start. Times are monotonic seconds."""

    def __init__(self, rate: float, capacity: float) -> None:
        self.rate, self._capacity = rate, capacity
        self._tokens = capacity
        self._at: float | None = None

    def limit(self, rate: float, capacity: float) -> None:
        """Change rate and capacity."""
        self.rate, self._capacity = rate, capacity

    def take(self, count: float, now: float) -> bool:
        """Take ``count`` tokens; False if there are too few, and then none is taken."""
        self._refill(now)
        if self._tokens < count:
            return False
        self._tokens -= count
        return True

    def _refill(self, now: float) -> None:
        passed = 0.0 if self._at is None else max(0.0, now - self._at)
        self._at = now
        self._tokens = min(self._capacity, self._tokens + passed * self.rate)
