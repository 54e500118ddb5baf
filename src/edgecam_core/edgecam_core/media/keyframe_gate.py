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

"""The keyframe gate: decides which access units to decode and which decoded frames to show.

Pure: NAL units in, decisions out. Implements random access by the standards (ITU-T H.264 section D.2.8, ITU-T H.265
sections 3.9, 8.1.3 and D.3.8): IDR, CRA and BLA frames, recovery points in open GOPs, and gradual intra refresh.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from edgecam_core.media.bits import BitstreamError
from edgecam_core.media.codecs import Codec
from edgecam_core.media.headers import SetKey, SliceHeader

_LARGEST_SET = 16384  # bytes; parameter sets have a few hundred at most


class Admission(NamedTuple):
    """The decision to decode an access unit.

    ``nals`` are the NAL units to decode. ``shown``: the decoded frame is complete; otherwise it is only a reference for
    later frames. ``begins``: decoding restarts with this access unit. ``resets``: reset the decoder first, because it
    holds frames from before a gap that the stream does not signal.
    """

    nals: list[bytes]
    shown: bool
    begins: bool = False
    resets: bool = False


class _GateState(enum.Enum):
    CLOSED = "waiting for a random access point"
    RECOVERING = "decoding frames that are not complete yet"
    OPEN = "decoding and showing frames"


class KeyframeGate:
    """Admits only access units that decode without errors. Not thread-safe.

    Decoders replace missing references with grey content and do not report it. Therefore no access unit reaches the
    decoder before the first random access point, or between a loss and the next random access point. Frames of a
    gradual intra refresh are decoded, but not shown until the recovery point. Leading frames that refer to frames
    before the random access point (RASL in H.265, earlier output times in H.264) are not shown. The gate remembers
    parameter sets and inserts them before the access unit at which decoding begins.

    Args:
        codec: the stream's codec.
        known: parameter sets from other sources, such as SDP or ``codec_data``.

    ``refused`` counts access units that are not shown. ``starving`` is set while the gate refuses access units until
    the next random access point.
    """

    def __init__(self, codec: Codec, known: Iterable[bytes] = ()) -> None:
        self._codec = codec
        self._sets: dict[SetKey, bytes] = {}
        self._state = _GateState.CLOSED
        self._skips_leading = False
        self._shown_from: int | None = None
        self._left = 0  # distance to the recovery point, in slice numbers
        self._number = 0
        self._feeds = False  # closed, but the decoder keeps running
        self._fed = False  # the decoder has received access units
        self._distrusted = False
        self.refused = 0
        self.starving = False
        self.remember(known)

    @property
    def open(self) -> bool:
        """Whether decoded frames are shown."""
        return self._state is _GateState.OPEN

    @property
    def closed(self) -> bool:
        """Whether decoding must restart at a random access point."""
        return self._state is _GateState.CLOSED

    def close(self) -> None:
        """Wait for the next random access point, because references are lost (packet loss, decoder restart)."""
        self._state = _GateState.CLOSED
        self._feeds = False

    def distrust(self) -> None:
        """Show no frame until the next random access point, but keep decoding. Thread-safe.

        Call if the decoder did not decode the access unit at which decoding began.
        """
        self._distrusted = True

    def remember(self, nals: Iterable[bytes]) -> None:
        """Keep the parameter sets among these units; damaged ones are ignored."""
        for unit in nals:
            kind = self._codec.kind(unit)
            if kind in self._codec.parameter_sets and len(unit) <= _LARGEST_SET:
                try:
                    self._sets[kind, self._codec.set_id(unit)] = unit
                except BitstreamError:
                    continue

    def admit(
        self, nals: Sequence[bytes], time: int | None = None, whole: bool = True, follows_gap: bool = False
    ) -> Admission | None:
        """Decide about the next access unit in decoding order; None: do not decode it.

        Args:
            nals: its NAL units, without start codes.
            time: its presentation time, in any unit that increases in output order; None: unknown.
            whole: no part of it is missing.
            follows_gap: packets before it are missing, so earlier access units may be missing, too.
        """
        nals = [unit for unit in nals if unit]
        if whole:
            self.remember(nals)
        slices = [unit for unit in nals if self._codec.is_vcl(self._codec.kind(unit))]
        if self._distrusted and self._state is not _GateState.CLOSED:
            self.close()
            self._feeds = True
        self._distrusted = False
        if not whole or follows_gap:
            self.close()
        if not slices:
            return None  # parameter sets or SEI alone: nothing to decode
        admission = self._decide(nals, slices, time) if whole else None
        self._fed = self._fed or admission is not None
        if admission is None or not admission.shown:
            self.refused += 1
        self.starving = self._state is _GateState.CLOSED
        if any(self._codec.ends_sequence(self._codec.kind(unit)) for unit in nals):
            self.close()  # the next frame is a random access point whose leading frames cannot be decoded
        return admission

    def _decide(self, nals: list[bytes], slices: list[bytes], time: int | None) -> Admission | None:
        kind = self._codec.kind(slices[0])
        if self._codec.is_keyframe(kind):
            return self._enter(nals, slices[0], kind)
        if self._skips_leading and self._codec.is_skipped_after_join(kind):
            return None
        try:
            begins = self._state is _GateState.CLOSED
            if begins and not self._begins_recovery(nals, slices):
                return Admission(nals, False) if self._feeds else None
            if self._state is _GateState.RECOVERING:
                resets = begins and self._fed and not self._feeds
                return self._recover(nals, slices[0], time)._replace(begins=begins, resets=resets)
        except BitstreamError:
            self.close()
            return None
        return Admission(nals, self._is_shown(time))

    def _enter(self, nals: list[bytes], first: bytes, kind: int) -> Admission | None:
        """Open the gate at an IDR, CRA or BLA frame."""
        try:
            header = self._codec.slice_header(first, self._sets)
        except BitstreamError:  # a parameter set is missing
            self.close()
            return None
        joined = self._state is not _GateState.OPEN
        self._skips_leading = joined or self._codec.breaks_link(kind)
        self._state = _GateState.OPEN
        self._shown_from = None
        return Admission(self._with_sets(nals, header) if joined else nals, True, begins=joined)

    def _begins_recovery(self, nals: list[bytes], slices: list[bytes]) -> bool:
        count = self._codec.recovery_count(nals)
        if count is None:
            return False
        count = max(0, count)
        header = self._codec.slice_header(slices[0], self._sets)
        # A frame that references others cannot be complete at once, even if its recovery point message says so.
        if count == 0 and not all(self._codec.is_intra(unit, self._sets) for unit in slices):
            return False
        self._state = _GateState.RECOVERING
        self._left, self._number = count, header.number
        self._skips_leading = True
        nals[:] = self._with_sets(nals, header)
        return True

    def _recover(self, nals: list[bytes], first: bytes, time: int | None) -> Admission:
        header = self._codec.slice_header(first, self._sets)
        # The number wraps; consecutive frames in decoding order differ by less than half its range.
        half = header.modulus // 2
        self._left -= (header.number - self._number + half) % header.modulus - half
        self._number = header.number
        if (count := self._codec.recovery_count(nals)) is not None:
            self._left = min(self._left, max(0, count))
        if self._left < 0 or (self._left == 0 and header.reference):
            self._state = _GateState.OPEN
            self._shown_from = time
        return Admission(nals, self._state is _GateState.OPEN)

    def _is_shown(self, time: int | None) -> bool:
        """Whether a frame lies at or after the recovery point in output order."""
        return self._shown_from is None or time is None or time >= self._shown_from

    def _with_sets(self, nals: list[bytes], header: SliceHeader) -> list[bytes]:
        """The access unit with the parameter sets that it needs, in the order that the standard requires."""
        own = [unit for unit in nals if self._codec.kind(unit) in self._codec.parameter_sets]
        needed = [self._sets[key] for key in header.sets]
        if all(unit in own for unit in needed):
            return nals
        delimiters = [unit for unit in nals if self._codec.kind(unit) == self._codec.delimiter]
        rest = [unit for unit in nals if unit not in own and unit not in delimiters]
        return [*delimiters, *needed, *(unit for unit in own if unit not in needed), *rest]
