"""RTP payloads in order to access units, each with the truth about what is missing; and the gate that uses it."""

from __future__ import annotations

from typing import NamedTuple

from edgecam_core.media.codecs import Codec
from edgecam_core.rtp.clock import NTP_ID, stamp_from_extension
from edgecam_core.rtp.packet import PacketError, RtpPacket

MAX_UNIT_BYTES = 32 << 20  # an access unit larger than this is an attack or an error


class AccessUnit(NamedTuple):
    """One coded frame. ``whole``: nothing of it is missing. ``follows_gap``: packets were lost before it."""

    nals: list[bytes]
    timestamp: int
    stamp_ns: int | None  # from the header extension
    arrival_ns: int  # wall clock at its first packet
    keyframe: bool
    whole: bool
    follows_gap: bool


class Assembler:
    """Collects the payloads of one stream. Feed packets in sequence order, call :meth:`gap` where some are missing."""

    def __init__(self, codec: Codec, stamp_id: int = NTP_ID) -> None:
        self._codec = codec
        self._stamp_id = stamp_id
        self._lost = True  # nothing is known before the first packet
        self._begin_unit(0, True, None, 0)
        self._open = False
        self.malformed = 0

    def gap(self) -> None:
        """Packets between the last and the next one are missing for good."""
        self._lost = True

    def push(self, packet: RtpPacket, arrival_ns: int) -> list[AccessUnit]:
        """The units that end with this packet: usually none or one, two where a marker was missing."""
        done = []
        if self._open and packet.timestamp != self._timestamp:
            done.append(self._end_unit())  # a sender that sets no marker, or the marker was lost
        if not self._open:
            head_lost = self._lost and not self._codec.begins_unit(packet.payload)
            stamp = stamp_from_extension(packet.extensions.get(self._stamp_id, b""))
            self._begin_unit(packet.timestamp, not head_lost, stamp, arrival_ns)
        elif self._lost:
            self._whole = False
            self._follows_gap = True
        self._lost = False
        self._collect(packet.payload)
        if packet.marker:
            done.append(self._end_unit())
        return done

    def _begin_unit(self, timestamp: int, whole: bool, stamp_ns: int | None, arrival_ns: int) -> None:
        self._open = True
        self._timestamp, self._whole, self._stamp_ns, self._arrival_ns = timestamp, whole, stamp_ns, arrival_ns
        self._follows_gap = self._lost
        self._nals: list[bytes] = []
        self._fragments: list[bytes] = []
        self._size = 0

    def _collect(self, payload: bytes) -> None:
        self._size += len(payload)
        if self._size > MAX_UNIT_BYTES:
            self._whole = False
            self._nals.clear()
            self._fragments.clear()
            return
        try:
            self._nals += self._codec.unpack(payload, self._fragments)
        except PacketError:
            # After a loss in this unit its fragments cannot fit; that is no fault of the sender.
            self.malformed += self._whole
            self._whole = False

    def _end_unit(self) -> AccessUnit:
        self._open = False
        whole = self._whole and not self._fragments and not self._lost
        frames = [kind for kind in map(self._codec.kind, self._nals) if self._codec.is_vcl(kind)]
        keyframe = bool(frames) and all(map(self._codec.is_keyframe, frames))
        return AccessUnit(
            self._nals, self._timestamp, self._stamp_ns, self._arrival_ns, keyframe, whole, self._follows_gap
        )


class KeyframeGate:
    """Lets only frames through that decode to what was sent.

    Decoders invent grey frames after a loss and do not flag them, so nothing reaches the decoder from the first
    missing packet to the next whole keyframe, nor before the first one. Parameter sets are remembered and put in front
    of a keyframe that comes without (senders with ``config-interval=1`` repeat them by a timer, SDP may hold them).
    ``starving`` is set when a frame was refused and only a keyframe can help.
    """

    def __init__(self, codec: Codec, known: list[bytes] | None = None) -> None:
        self._codec = codec
        self._sets: dict[int, list[bytes]] = {}
        self._remember(known or [])
        self.open = False
        self._joined_at_keyframe = False
        self.refused = 0
        self.starving = False

    def close(self) -> None:
        """Something went wrong elsewhere (decoder restarted): wait for the next keyframe."""
        self.open = False
        self.starving = True

    def admit(self, unit: AccessUnit) -> list[bytes] | None:
        """The NAL units for the decoder, or None when the frame must not be shown."""
        if unit.whole:
            self._remember(unit.nals)
        if not unit.whole or (unit.follows_gap and not unit.keyframe):
            self.open = False
        elif unit.keyframe:
            return self._keyframe(unit)
        if not self.open:
            self._refuse()
            return None
        return self._following(unit)

    def _refuse(self) -> None:
        self.refused += 1
        self.starving = not self.open

    def _remember(self, nals: list[bytes]) -> None:
        fresh: dict[int, list[bytes]] = {}
        for unit in nals:
            kind = self._codec.kind(unit)
            if kind in self._codec.parameter_sets:
                fresh.setdefault(kind, []).append(unit)
        self._sets.update(fresh)

    def _keyframe(self, unit: AccessUnit) -> list[bytes] | None:
        if any(kind not in self._sets for kind in self._codec.parameter_sets):
            self.open = False
            self._refuse()
            return None
        if not self.open:
            self._joined_at_keyframe = True
        self.open = True
        self.starving = False
        present = {self._codec.kind(nal) for nal in unit.nals}
        missing = [nal for kind in self._codec.parameter_sets if kind not in present for nal in self._sets[kind]]
        return missing + unit.nals

    def _following(self, unit: AccessUnit) -> list[bytes] | None:
        kinds = [kind for kind in map(self._codec.kind, unit.nals) if self._codec.is_vcl(kind)]
        if not kinds:
            return None  # parameter sets alone: remembered, nothing to decode
        if self._joined_at_keyframe and any(map(self._codec.is_skipped_after_join, kinds)):
            self._refuse()  # refers to frames before the keyframe we joined at
            return None
        self._joined_at_keyframe = False
        return unit.nals
