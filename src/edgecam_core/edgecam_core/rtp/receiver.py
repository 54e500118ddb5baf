"""RTP over UDP to frames: receives, repairs, refuses what is damaged, decodes, and says what it saw."""

from __future__ import annotations

import secrets
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from edgecam_core.counters import Counters, Meter
from edgecam_core.errors import EdgecamError, ImageError, PipelineError, SettingError
from edgecam_core.media import decoders
from edgecam_core.media.codecs import codec
from edgecam_core.rtp import rtcp, sdp, sockets
from edgecam_core.rtp.assembler import AccessUnit, KeyframeGate
from edgecam_core.rtp.clock import CLOCK_RATE, StampReader
from edgecam_core.rtp.decoding import Allocate, DecodedFrame, DecoderPipeline, TimeLine
from edgecam_core.rtp.parity import PORT_OFFSET
from edgecam_core.rtp.reorder import MILLISECOND
from edgecam_core.rtp.rtp_session import RtpSession
from edgecam_core.rtp.settings import ReceiverSettings
from edgecam_core.rtp.srtp import Protector, Unprotector, read_key
from edgecam_core.types import Frame

IDLE_SECONDS = 0.1
REPAIR_SECONDS = 0.002
REQUEST_PAUSE_NS = 150 * MILLISECOND
REPORT_NS = 1000 * MILLISECOND
DATAGRAM = 65_535
MOST_WAITING = 30  # units before the decoder: more is a decoder that is too slow
FEW_WAITING = 3
DOUBTFUL_PACKETS, DOUBTFUL_SECONDS = 200, 2.0  # without a frame: keyframes are asked for several times a second


@dataclass
class ReceiverStats:
    """What a receiver has seen. ``state`` is silent, waiting (for a keyframe) or running; ``problem`` says why not.

    Loss is counted in packets: ``missing`` before repair, ``lost`` after it. Ages are seconds, nan when never.
    """

    state: str = "silent"
    problem: str = ""
    decoder: str = ""
    sender: str = ""
    stamp_source: str = "none"
    frames: int = 0
    fps: float = 0.0
    refused: int = 0
    packets: int = 0
    missing: int = 0
    recovered: int = 0
    lost: int = 0
    duplicate: int = 0
    late: int = 0
    jitter_ms: float = 0.0
    round_trip_ms: float = float("nan")
    bitrate: float = 0.0
    packet_age: float = float("nan")
    keyframe_age: float = float("nan")
    decode_ms: float = float("nan")
    streams: int = 0
    decoder_restarts: int = 0
    requests: int = 0
    troubles: dict[str, int] = field(default_factory=dict)


class Receiver:
    """Call :meth:`start`, then :meth:`read` again and again (or iterate), then :meth:`stop`.

    Only frames that decode to what was sent come out. Everything the network can do ends up in :meth:`stats`.
    """

    def __init__(self, settings: ReceiverSettings) -> None:
        known: list[bytes] = []
        stamp_id = 1
        self._frame_id = settings.frame_id
        if settings.sdp_file:
            described = sdp.read_file(settings.sdp_file)
            settings = settings.changed(port=described.port, codec=described.codec, payload_type=described.payload_type)
            if described.encrypted and not settings.srtp_key:
                remedy = "describes an encrypted stream (SRTP): set srtp_key as well"
                raise SettingError("sdp_file", settings.sdp_file, remedy)
            stamp_id = sdp.stamp_id(described.extensions)
            known = codec(described.codec).sprop_nals(described.parameters)
            self._frame_id = described.frame_id or settings.frame_id
        self.settings = settings
        self._row = decoders.choose(settings.decoder, settings.codec)
        self._gate = KeyframeGate(codec(settings.codec), known)
        self._session = RtpSession(
            codec(settings.codec),
            settings.payload_type or None,
            settings.latency * MILLISECOND,
            settings.source_network(),
            stamp_id,
            settings.redundancy,
            stamps=StampReader(settings.stamp_source),
        )
        self._ssrc = secrets.randbits(32)
        self._protector: Protector | None = None
        if settings.srtp_key:
            key = read_key(settings.srtp_key, settings.srtp_cipher)
            self._session.unprotector = Unprotector(settings.srtp_cipher, key)
            self._protector = Protector(settings.srtp_cipher, key, self._ssrc)
        self._lock = threading.Lock()  # protects the session and the gate
        self._timeline = TimeLine()
        self._decoder: DecoderPipeline | None = None
        self._sockets: list[socket.socket] = []
        self._parity_socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._failure: EdgecamError | None = None
        self._counters = Counters()
        self._bytes = Meter(window=2.0, most=20_000)
        self._frames = Meter()
        self._seen_streams = 0
        self._keyframe_ns = 0
        self._decoded = 0
        self._packets_before = 0  # the newest decoded frame, or the stream
        self._decoded_ns = 0
        self._packet_ns = 0
        self._requested_ns = 0
        self._reported_ns = 0
        self._requests = 0
        self._restarts = 0
        self._behind = False

    def start(self) -> None:
        """Bind the port and start the decoder.

        Raises:
            SettingError: the port is in use or the address is not ours.
            PipelineError: the decoder does not start.
        """
        settings = self.settings
        self._sockets = [sockets.receiver(settings.host, settings.port)]
        try:
            self._sockets.append(sockets.receiver(settings.host, settings.port + 1))
        except EdgecamError:
            self._counters.add(f"no RTCP: port {settings.port + 1} is taken")
        try:
            if settings.redundancy:
                self._parity_socket = sockets.receiver(settings.host, settings.port + PORT_OFFSET)
                self._sockets.append(self._parity_socket)
            self._decoder = DecoderPipeline(self._row)
        except EdgecamError:
            self._close_sockets()
            raise
        self._thread = threading.Thread(target=self._run, name="rtp-receive", daemon=True)
        self._thread.start()

    def read(self, timeout: float, allocate: Allocate | None = None) -> Frame | None:
        """The next good frame as bgr8, waiting up to ``timeout`` seconds; None when none came.

        ``allocate(width, height)`` gives the memory to decode into; the Frame is a view of it. Call from one thread.

        Raises:
            EdgecamError: the receiver cannot go on; the text says why.
        """
        if self._failure is not None:
            raise self._failure
        decoder = self._decoder
        if decoder is None:
            return None
        try:
            frame = decoder.pull(timeout, allocate)
        except ImageError as error:  # costs this frame, not the stream
            self._counters.add(str(error))
            return None
        return None if frame is None else self._frame(frame)

    def _frame(self, decoded: DecodedFrame) -> Frame:
        now_ns = time.monotonic_ns()
        self._frames.add(now_ns / 1e9, (now_ns - decoded.arrived_ns) / 1e9)
        return Frame.from_array(decoded.bgr, "bgr8", decoded.stamp_ns, self._frame_id)

    def __iter__(self) -> Iterator[Frame]:
        """Good frames for ever; blocks while there are none."""
        while not self._stopping.is_set():
            frame = self.read(0.5)
            if frame is not None:
                yield frame

    def _run(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                for each in self._sockets:
                    each.setblocking(False)
                    selector.register(each, selectors.EVENT_READ)
                while not self._stopping.is_set():
                    ready = [key.fileobj for key, _ in selector.select(self._patience())]
                    self._take(ready)  # type: ignore[arg-type]
                    self._talk_back()
                    self._watch_decoder()
        except Exception as error:  # whatever it is: read() tells the owner
            self._failure = EdgecamError.of(error)

    def _patience(self) -> float:
        """Seconds to sleep unless a datagram comes."""
        stream = self._session.stream
        if stream is not None and stream.buffer.waiting:
            return REPAIR_SECONDS
        wake_ns = self._session.wake_ns()
        if wake_ns is None:
            return IDLE_SECONDS
        return min(max((wake_ns - time.monotonic_ns()) / 1e9, 0.0), IDLE_SECONDS)

    def _take(self, ready: list[socket.socket]) -> None:
        units: list[AccessUnit] = []
        for source in ready:
            for _ in range(256):  # then look after the rest, even under a flood
                try:
                    data, sender = source.recvfrom(DATAGRAM)
                except BlockingIOError:
                    break
                except OSError as error:
                    self._counters.add(f"receiving: {error.strerror or error}")
                    break
                now_ns, address = time.monotonic_ns(), (sender[0], sender[1])
                with self._lock:
                    if source is self._sockets[0]:
                        self._packet_ns = now_ns
                        self._bytes.add(now_ns / 1e9, len(data))
                        units += self._session.datagram(data, address, now_ns, time.time_ns())
                    elif source is self._parity_socket:
                        self._bytes.add(now_ns / 1e9, len(data))
                        units += self._session.parity(data, address, now_ns, time.time_ns())
                    else:
                        units += self._session.control(data, address, now_ns)
        with self._lock:
            units += self._session.tick(time.monotonic_ns())
            if self._session.streams != self._seen_streams:
                self._seen_streams = self._session.streams
                self._hope_again()
                self._timeline.restart()
        for unit in units:
            self._decode(unit)

    def _hope_again(self) -> None:
        """A stream began or a frame was decoded: packets without a frame count from here on."""
        self._packets_before = self._session.packets().received
        self._decoded_ns = time.monotonic_ns()

    def _fell_behind(self) -> bool:
        """Whether the decoder must catch up first: from ``MOST_WAITING`` units waiting until few are left."""
        assert self._decoder is not None
        waiting = self._decoder.waiting()
        self._behind = waiting > (FEW_WAITING if self._behind else MOST_WAITING)
        return self._behind

    def _decode(self, unit: AccessUnit) -> None:
        behind = self._fell_behind()
        with self._lock:
            if behind:
                self._gate.close()
                self._counters.add("frame dropped: the decoder is too slow")
                return
            nals = self._gate.admit(unit)
            if nals is None:
                return
            stamp_ns = self._session.stamps.stamp(unit.stamp_ns, unit.timestamp, unit.arrival_ns)
        now_ns = time.monotonic_ns()
        if unit.keyframe:
            self._keyframe_ns = now_ns
        assert self._decoder is not None
        self._decoder.push(nals, self._timeline.pts(unit.timestamp), stamp_ns, now_ns)

    def _talk_back(self) -> None:
        stream = self._session.stream
        if stream is None or not self.settings.feedback:
            return
        now_ns = time.monotonic_ns()
        messages = []
        if wanted := stream.buffer.ask(now_ns):
            messages.append(rtcp.nack(self._ssrc, stream.ssrc, wanted))
        if self._gate.starving and not self._behind and now_ns - self._requested_ns >= REQUEST_PAUSE_NS:
            self._requested_ns = now_ns
            messages.append(rtcp.picture_loss_indication(self._ssrc, stream.ssrc))
        if messages or now_ns - self._reported_ns >= REPORT_NS:
            self._reported_ns = now_ns
            self._requests += bool(messages)
            head = rtcp.receiver_report(self._ssrc) + rtcp.source_description(self._ssrc, "edgecam-receiver")
            compound = head + b"".join(messages)
            try:
                data = compound if self._protector is None else self._protector.rtcp(compound)
                self._sockets[0].sendto(data, stream.sender)
            except OSError as error:
                self._counters.add(f"feedback: {error.strerror or error}")

    def _watch_decoder(self) -> None:
        assert self._decoder is not None
        if self._decoder.decoded != self._decoded:
            self._decoded = self._decoder.decoded
            with self._lock:
                self._hope_again()
        try:
            for text in self._decoder.check():
                self._counters.add(text)
            if self._decoder.stuck(time.monotonic_ns()):
                raise PipelineError("the decoder takes frames and gives none")
        except PipelineError as error:
            self._counters.add(str(error))
            self._restart_decoder()

    def _restart_decoder(self) -> None:
        old, self._decoder = self._decoder, DecoderPipeline(self._row)
        self._restarts += 1
        with self._lock:
            self._gate.close()
        if old is not None:
            old.stop()

    def stats(self) -> ReceiverStats:
        """A snapshot; rates over the last seconds."""
        now = time.monotonic()
        with self._lock:
            counts = self._session.packets()
            stream = self._session.stream
            troubles = self._session.counts + self._session.stamps.troubles + Counter(self._counters.totals())
            if stream is not None:
                troubles["malformed payloads"] += stream.assembler.malformed
            stats = ReceiverStats(
                decoder=self._row.element,
                stamp_source=self._session.stamps.source,
                refused=self._gate.refused,
                packets=counts.received,
                missing=counts.missing,
                recovered=counts.recovered,
                lost=counts.lost,
                duplicate=counts.duplicate,
                late=counts.late,
                streams=self._session.streams,
                decoder_restarts=self._restarts,
                requests=self._requests,
                troubles={what: count for what, count in troubles.items() if count},
            )
            is_open = self._gate.open
        if self._packet_ns:
            stats.packet_age = now - self._packet_ns / 1e9
        if self._keyframe_ns:
            stats.keyframe_age = now - self._keyframe_ns / 1e9
        if stream is not None:
            stats.sender = f"{stream.sender[0]}:{stream.sender[1]}"
            stats.jitter_ms = stream.jitter / CLOCK_RATE * 1000
            if stream.buffer.counts.recovered:
                stats.round_trip_ms = stream.buffer.round_trip_ns / 1e6
            if now - stream.last_ns / 1e9 <= self.settings.timeout:
                stats.state = "running" if is_open else "waiting"
        stats.problem = self._problem(stats)
        stats.bitrate = self._bytes.sum(now) * 8 / 2.0
        stats.frames = self._frames.count
        stats.fps = self._frames.rate(now)
        stats.decode_ms = self._frames.percentile(now, 50) * 1000
        return stats

    def _problem(self, stats: ReceiverStats) -> str:
        """Why there are no frames; empty when there are."""
        if stats.state == "silent":
            port = f"UDP port {self.settings.port}"
            heard = stats.packet_age <= self.settings.timeout
            return f"datagrams come to {port}, none is of our stream" if heard else f"no stream on {port}"
        without, seconds = stats.packets - self._packets_before, (time.monotonic_ns() - self._decoded_ns) / 1e9
        if without > DOUBTFUL_PACKETS and seconds > DOUBTFUL_SECONDS:
            name = codec(self.settings.codec).encoding_name.replace("H", "H.")
            return f"no {name} frame in {without} packets: another codec, encrypted, or keyframes far apart?"
        return "waiting for a keyframe" if stats.state == "waiting" else ""

    def _close_sockets(self) -> None:
        for each in self._sockets:
            each.close()
        self._sockets = []

    def stop(self) -> None:
        """Free the port and the decoder; safe to call twice. Blocks for up to a second."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
            self._thread = None
        self._close_sockets()
        decoder, self._decoder = self._decoder, None
        if decoder is not None:
            decoder.stop()
