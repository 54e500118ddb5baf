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

"""The keyframe gate in a capture pipeline: selects the access units to record, decode and show."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from edgecam_core.media import gst
from edgecam_core.media.codecs import codec
from edgecam_core.media.coded import CodedBuffer, read_buffer
from edgecam_core.media.keyframe_gate import Admission, KeyframeGate
from edgecam_core.media.shown_frames import ShownFrames

_ROUND = re.compile(r", edgecam-begin=\(int\)(\d+)")


class DecoderGate:
    """Three probes on one pipeline: before the tee (losses), before the decoder (no consumers), and after the decoder.

    ``held`` counts access units that a loss made undecodable, ``skipped`` those not decoded because there were no
    consumers; keyframes are always decoded. For codecs other than H.264 and H.265, only GStreamer's flags are used.
    All probes run in GStreamer's streaming threads.
    """

    def __init__(self, has_consumers: Callable[[], bool]) -> None:
        self._has_consumers = has_consumers
        self._whole: _Gate | None = None
        self._decodes: _Gate | None = None
        self._shown: ShownFrames | None = None
        self._coded_pad: Any = None
        self._decode_pad: Any = None
        self._now: CodedBuffer | None = None
        self._gap = False  # access units were withheld since the last one that the decoder received
        self.held = 0
        self.skipped = 0

    def attach(self, pipeline: gst.Pipeline) -> None:
        """Add the probes to a pipeline with the elements ``tap``, ``decode`` and ``sink``."""
        self._coded_pad = pipeline.element("tap").get_static_pad("sink")
        self._decode_pad = pipeline.element("decode").get_static_pad("sink")
        pipeline.on_buffer("tap", "sink", self._received)
        pipeline.on_buffer("decode", "sink", self._to_decoder)
        pipeline.on_buffer("sink", "sink", self._decoded)

    def _received(self, buffer: Any) -> bool:
        unit = read_buffer(buffer, self._coded_pad.get_current_caps())
        if self._whole is None:
            self._whole, self._decodes = _gate(unit), _gate(unit)
            self._shown = ShownFrames(self._decodes) if isinstance(self._decodes, KeyframeGate) else None
        self._now = unit
        kept = _admit(self._whole, unit, unit.discont) is not None
        self.held += not kept
        self._gap = self._gap or self._whole.starving  # omitted leading frames are not a gap
        return kept

    def _to_decoder(self, _buffer: Any) -> bool:
        unit, gate = self._now, self._decodes
        if unit is None or gate is None:
            return True
        consumed = self._has_consumers()
        admission = _admit(gate, unit, unit.discont or self._gap or not consumed)
        useless = admission is None or (not consumed and not admission.shown)
        self._gap = useless and (gate.starving or not consumed)
        if useless or admission is None:
            self.skipped += 1
            return False
        if admission.resets:
            _reset_decoder(self._decode_pad)
        if self._shown is not None and unit.pts_ns is not None:
            self._shown.admitted(unit.pts_ns, admission)
        return True

    def _decoded(self, buffer: Any) -> bool:
        return self._shown is None or buffer.pts == gst.load().CLOCK_TIME_NONE or self._shown.decoded(int(buffer.pts))


class FlagGate:
    """The keyframe gate for codecs whose headers edgecam does not parse; it uses GStreamer's flags."""

    def __init__(self) -> None:
        self._open = False

    @property
    def starving(self) -> bool:
        return not self._open

    def admit(self, unit: CodedBuffer, follows_gap: bool) -> Admission | None:
        """Like :meth:`KeyframeGate.admit`."""
        self._open = not unit.delta or (self._open and not follows_gap)
        return Admission([], True) if self._open else None


_Gate = KeyframeGate | FlagGate


def _gate(unit: CodedBuffer) -> _Gate:
    return KeyframeGate(codec(unit.codec), unit.sets) if unit.codec else FlagGate()


def _admit(gate: _Gate, unit: CodedBuffer, follows_gap: bool) -> Admission | None:
    if isinstance(gate, FlagGate):
        return gate.admit(unit, follows_gap)
    gate.remember(unit.sets)
    return gate.admit(unit.nals, unit.pts_ns, not unit.damaged, follows_gap)


def _reset_decoder(pad: Any) -> None:
    """Restart the decoder by changing its caps; a flush from the streaming thread would stop the pipeline."""
    g = gst.load()
    caps = pad.get_current_caps()
    if caps is None:
        return
    text = caps.to_string()
    number = int(match[1]) + 1 if (match := _ROUND.search(text)) else 1
    fresh = g.Caps.from_string(f"{_ROUND.sub('', text)}, edgecam-begin=(int){number}")
    pad.send_event(g.Event.new_caps(fresh))
