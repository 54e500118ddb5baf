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

"""Decides which frames that leave a decoder may be shown; the counterpart of the keyframe gate."""

from __future__ import annotations

import threading
from collections import OrderedDict

from edgecam_core.media.keyframe_gate import Admission, KeyframeGate

_MAX_PENDING = 256
_NEW_TIMELINE_NS = 1_000_000_000
_SAME_NS = 500_000
"""Decoders may round presentation times."""


class ShownFrames:
    """Matches decoded frames with the gate's decision on their access units, by presentation time in nanoseconds.

    It also checks the decoder, which must return a frame for the access unit at which decoding began, with increasing
    times. GStreamer 1.26's libav decoders fail at a recovery point after a gap and then invent content for frames that
    refer to it; older versions assign times of other frames to late frames. Thread-safe.
    """

    def __init__(self, gate: KeyframeGate) -> None:
        self._gate = gate
        self._pending: OrderedDict[int, bool] = OrderedDict()
        self._begun: int | None = None
        self._last: int | None = None
        self._lock = threading.Lock()

    def admitted(self, time: int, admission: Admission) -> None:
        """Register an access unit that goes to the decoder."""
        with self._lock:
            self._pending[time] = admission.shown
            if admission.begins:
                self._begun = time
            while len(self._pending) > _MAX_PENDING:
                self._pending.popitem(last=False)

    def decoded(self, time: int) -> bool:
        """Whether this frame may be shown; True if its time is unknown."""
        with self._lock:
            if self._last is not None and 0 <= self._last - time < _NEW_TIMELINE_NS:
                return self._distrust()
            self._last = time
            known = next((key for key in self._pending if abs(key - time) <= _SAME_NS), None)
            if known is None:
                return True
            shown = self._pending.pop(known)
            if known == self._begun:
                self._begun = None
            elif self._begun is not None and known > self._begun and shown:
                return self._distrust()
            return shown

    def _distrust(self) -> bool:
        self._begun = None
        self._gate.distrust()
        self._pending = OrderedDict.fromkeys(self._pending, False)
        return False
