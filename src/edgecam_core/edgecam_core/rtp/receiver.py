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

"""RTP over UDP to frames: receives and repairs the stream, rejects damaged frames, decodes, and keeps statistics."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator

from edgecam_core.counters import Counters
from edgecam_core.errors import EdgecamError, ImageError
from edgecam_core.media import decoders
from edgecam_core.media.codecs import codec
from edgecam_core.media.keyframe_gate import KeyframeGate
from edgecam_core.rtp import sockets
from edgecam_core.rtp.assembler import AccessUnit
from edgecam_core.rtp.clock import CLOCK_RATE
from edgecam_core.rtp.decoder_supervisor import DecoderSupervisor
from edgecam_core.rtp.decoding import Allocate, Ticket
from edgecam_core.rtp.feedback import ReceiverFeedback
from edgecam_core.rtp.receiver_sockets import CONTROL, MEDIA, ReceiverSockets
from edgecam_core.rtp.receiver_stats import ReceiverMeter, ReceiverStats
from edgecam_core.rtp.reception import Reception
from edgecam_core.rtp.reorder import MILLISECOND
from edgecam_core.rtp.rtp_session import RtpSession
from edgecam_core.rtp.settings import ReceiverSettings
from edgecam_core.rtp.srtp import Protector, read_key
from edgecam_core.rtp.stamps import PublishedStamps, StampReader
from edgecam_core.rtp.timeline import Timeline
from edgecam_core.rtp.unprotector import Unprotector
from edgecam_core.tracer import TRACER
from edgecam_core.types import Frame

IDLE_SECONDS = 0.1
REPAIR_SECONDS = 0.002
REPORT_SECONDS = 0.05


class Receiver:
    """Receives one stream. Call :meth:`start`, then :meth:`read` in a loop (or iterate), then :meth:`stop`.

    Returns only undamaged frames. :meth:`stats` counts every network fault.
    """

    def __init__(self, settings: ReceiverSettings) -> None:
        self._reception = Reception.of(settings)
        self.settings = settings = self._reception.settings
        self._row = decoders.choose(settings.decoder, settings.codec)
        self._gate = KeyframeGate(codec(settings.codec), self._reception.parameter_sets)
        self._session = RtpSession(
            codec(settings.codec),
            settings.payload_type or None,
            settings.latency * MILLISECOND,
            settings.source_network(),
            self._reception.stamp_id,
            settings.redundancy,
            stamps=StampReader(settings.stamp_source),
        )
        self._feedback = ReceiverFeedback()
        self._protector: Protector | None = None
        if settings.srtp_key:
            key = read_key(settings.srtp_key, settings.srtp_cipher)
            self._session.unprotector = Unprotector(settings.srtp_cipher, key)
            self._protector = Protector(settings.srtp_cipher, key, self._feedback.ssrc)
        self._lock = threading.Lock()  # protects the session and the gate
        self._timeline = Timeline()
        self._published = PublishedStamps()
        self._decoder: DecoderSupervisor | None = None
        self._sockets: ReceiverSockets | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._failure: EdgecamError | None = None
        self._counters = Counters()
        self._meter = ReceiverMeter(settings)
        self._seen_streams = 0

    def start(self) -> None:
        """Bind the port and start the decoder.

        Raises:
            SettingError: the port is in use or the address is not one of this machine.
            PipelineError: the decoder does not start.
        """
        self._sockets = ReceiverSockets(self._bind, bool(self.settings.redundancy), self._counters)
        try:
            self._decoder = DecoderSupervisor(self._row, self._counters)
        except EdgecamError:
            self._sockets.close()
            raise
        self._thread = threading.Thread(target=self._run, name="rtp-receive", daemon=True)
        self._thread.start()

    def _bind(self, port_offset: int) -> socket.socket:
        settings, source = self.settings, self._reception.group_source
        return sockets.receiver(settings.host, settings.port + port_offset, settings.interface, source)

    def read(self, timeout: float, allocate: Allocate | None = None) -> Frame | None:
        """The next undamaged frame as bgr8, waiting up to ``timeout`` seconds; None if none arrives.

        ``allocate(width, height)`` returns the (height, width, 3) uint8 array to decode into; the frame is a view of
        it. Call from one thread.

        Raises:
            EdgecamError: the receiver has failed; the text states the reason.
        """
        if self._failure is not None:
            raise self._failure
        decoder = self._decoder
        if decoder is None:
            return None
        try:
            decoded = decoder.pull(timeout, allocate)
        except ImageError as error:  # lose this frame only; the stream continues
            self._counters.add(str(error))
            return None
        if decoded is None:
            return None
        self._meter.frame(time.monotonic_ns(), decoded.ticket.arrived_ns)
        stamp_ns = self._published.next(decoded.ticket.stamp, *decoded.ticket.place)
        TRACER.reached("receiver.arrived", stamp_ns, time.monotonic_ns() - decoded.ticket.arrived_ns)
        TRACER.reached("receiver.decoded", stamp_ns)
        return Frame.from_array(decoded.bgr, "bgr8", stamp_ns, self._reception.frame_id)

    def __iter__(self) -> Iterator[Frame]:
        """Yield undamaged frames until stopped; blocks while there are none."""
        while not self._stopping.is_set():
            frame = self.read(0.5)
            if frame is not None:
                yield frame

    def _run(self) -> None:
        assert self._sockets is not None
        try:
            while not self._stopping.is_set():
                self._receive(self._sockets.ready(self._wait_seconds()))
                self._send_feedback()
                self._watch_decoder()
        except Exception as error:  # read() raises it in the owner's thread
            self._failure = EdgecamError.of(error)

    def _wait_seconds(self) -> float:
        """The longest time to wait for a datagram, in seconds."""
        stream = self._session.stream
        if stream is not None and stream.buffer.waiting:
            return REPAIR_SECONDS
        wake_ns = self._session.wake_ns()
        if wake_ns is None:
            return IDLE_SECONDS if stream is None else REPORT_SECONDS
        return min(max((wake_ns - time.monotonic_ns()) / 1e9, 0.0), IDLE_SECONDS)

    def _receive(self, ready: list[str]) -> None:
        units = [unit for kind in ready for unit in self._read_socket(kind)]
        with self._lock:
            units += self._session.tick(time.monotonic_ns())
            if self._session.streams != self._seen_streams:
                self._seen_streams = self._session.streams
                self._meter.progress(self._session.packets().received)
        for unit in units:
            self._decode(unit)

    def _read_socket(self, kind: str) -> list[AccessUnit]:
        assert self._sockets is not None
        units: list[AccessUnit] = []
        for data, sender in self._sockets.datagrams(kind):
            now_ns = time.monotonic_ns()
            with self._lock:
                if kind == CONTROL:
                    self._session.control(data, sender)
                    continue
                handle = self._session.datagram if kind == MEDIA else self._session.parity
                self._meter.datagram(len(data), now_ns, is_media=kind == MEDIA)
                units += handle(data, sender, now_ns, time.time_ns())
        return units

    def _decode(self, unit: AccessUnit) -> None:
        assert self._decoder is not None
        behind = self._decoder.fell_behind()
        with self._lock:
            if behind:
                self._gate.close()
                self._counters.add("frame dropped: the decoder is too slow")
                return
            now_ns, jumps = time.monotonic_ns(), self._timeline.jumps
            place = self._timeline.place(unit.stream, unit.timestamp, unit.random_access, now_ns)
            if self._timeline.jumps != jumps:
                self._counters.add("RTP time jumped: new timeline")
                self._session.stamps.jumped(unit.timestamp, unit.arrival_ns)
                self._gate.close()  # the decoder cannot tell frames of the old timeline from those of the new one
            begins = self._gate.closed or unit.follows_gap
            admission = self._gate.admit(unit.nals, place.pts, unit.whole, unit.follows_gap)
            if admission is None:
                return
            stamp = self._session.stamps.stamp(unit.stamp_ns, unit.timestamp, unit.arrival_ns)
        if unit.random_access:
            self._meter.keyframe(now_ns)
        ticket = Ticket(place, stamp, now_ns, admission.shown)
        if begins:
            self._decoder.begin(admission.nals, ticket)
        self._decoder.push(admission.nals, ticket)

    def _send_feedback(self) -> None:
        stream = self._session.stream
        if stream is None or not self.settings.feedback:
            return
        assert self._decoder is not None
        assert self._sockets is not None
        needs_keyframe = self._gate.starving and not self._decoder.behind
        compound = self._feedback.compound(stream, needs_keyframe, time.monotonic_ns())
        if compound is None:
            return
        data = compound if self._protector is None else self._protector.rtcp(compound)
        self._sockets.send(data, stream.sender)

    def _watch_decoder(self) -> None:
        assert self._decoder is not None
        with self._lock:
            if self._decoder.progressed():
                self._meter.progress(self._session.packets().received)
        if self._decoder.restarted():
            with self._lock:
                self._gate.close()

    def stats(self) -> ReceiverStats:
        """A snapshot; rates over the last seconds."""
        with self._lock:
            counts = self._session.packets()
            stream = self._session.stream
            errors = self._session.counts + self._session.stamps.errors + Counter(self._counters.totals())
            if stream is not None:
                errors["malformed payloads"] += stream.assembler.malformed
            stats = ReceiverStats(
                decoder=self._row.element,
                stamp_source=self._published.source,
                refused=self._gate.refused,
                packets=counts.received,
                missing=counts.missing,
                recovered=counts.recovered,
                lost=counts.lost,
                duplicate=counts.duplicate,
                late=counts.late,
                streams=self._session.streams,
                decoder_restarts=self._decoder.restarts if self._decoder is not None else 0,
                requests=self._feedback.requests,
                errors={what: count for what, count in errors.items() if count},
            )
            is_open = self._gate.open
        if stream is not None:
            stats.sender = f"{stream.sender[0]}:{stream.sender[1]}"
            stats.jitter_ms = stream.jitter / CLOCK_RATE * 1000
            if stream.buffer.counts.recovered:
                stats.round_trip_ms = stream.buffer.round_trip_ns / 1e6
            if time.monotonic_ns() - stream.last_ns <= self.settings.timeout * 1e9:
                stats.state = "running" if is_open else "waiting"
        self._meter.add_to(stats)
        return stats

    def stop(self) -> None:
        """Close the sockets and stop the decoder; safe to call twice. Blocks for up to a second."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
            self._thread = None
        if self._sockets is not None:
            self._sockets.close()
        decoder, self._decoder = self._decoder, None
        if decoder is not None:
            decoder.stop()
