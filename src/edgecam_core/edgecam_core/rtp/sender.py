"""Frames to RTP over UDP: encodes, numbers, sends, and answers receivers that ask for packets or keyframes."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from edgecam_core.counters import Counters, Meter
from edgecam_core.errors import EdgecamError, ImageError
from edgecam_core.media import encoders, i420
from edgecam_core.media.codecs import codec
from edgecam_core.media.encoding import EncodedFrame, EncoderPipeline
from edgecam_core.rtp import clock, rtcp, sdp, sockets
from edgecam_core.rtp.packet import PacketError
from edgecam_core.rtp.packetiser import History, Packetiser
from edgecam_core.rtp.parity import PORT_OFFSET, ParityMaker, payload_type
from edgecam_core.rtp.rtsp import RtspServer
from edgecam_core.rtp.settings import SenderSettings, split_address
from edgecam_core.rtp.srtp import CIPHERS, Protector, Unprotector, read_key
from edgecam_core.types import Frame

SMALLEST = 16  # pixels; below that no encoder here takes a frame
REPORT_SECONDS = 1.0
KEYFRAME_REQUEST_SECONDS = 0.1
RESEND_PAUSE_SECONDS = 0.004
RESEND_SHARE = 0.5  # of the packets sent, at most this share once more
RESEND_BURST = 300.0


@dataclass
class SenderStats:
    """What a sender has done. ``bitrate`` is that of the packets sent lately, in bit/s.

    ``stalled``: for how many seconds frames have gone into the encoder and none has come out.
    """

    encoder: str = ""
    frames_in: int = 0
    frames_sent: int = 0
    frames_skipped: int = 0
    keyframes: int = 0
    packets: int = 0
    bitrate: float = 0.0
    fps: float = 0.0
    encode_ms: float = float("nan")
    stalled: float = 0.0
    resent: int = 0
    parity_packets: int = 0
    keyframe_requests: int = 0
    rtsp_clients: int = 0
    troubles: dict[str, int] = field(default_factory=dict)


class Sender:
    """Call :meth:`start`, then :meth:`send` for every frame, then :meth:`stop`.

    Making one resolves the addresses (which may block for as long as DNS does) and finds the encoder. ``on_failure``
    is called from a thread of the sender when it cannot go on (the encoder died). ``on_coded``, when it is set, is
    called from such a thread with the NAL units, capture stamp (nanoseconds) and frame id of every coded frame.

    Raises:
        SettingError: an address that does not resolve, an encoder nobody knows.
        MissingDependency: the encoder is not installed.
    """

    def __init__(self, settings: SenderSettings, on_failure: Callable[[EdgecamError], None] | None = None) -> None:
        self.on_coded: Callable[[list[bytes], int, str], None] | None = None
        self._settings = settings
        self._codec = codec(settings.codec)
        self._on_failure = on_failure or (lambda error: None)
        self._failure: EdgecamError | None = None
        trailer = CIPHERS[settings.srtp_cipher].trailer if settings.srtp_key else 0
        self._packetiser = Packetiser(self._codec, settings.payload_type, settings.mtu, trailer)
        self._protector: Protector | None = None
        self._unprotector: Unprotector | None = None
        if settings.srtp_key:
            key = read_key(settings.srtp_key, settings.srtp_cipher)
            self._protector = Protector(settings.srtp_cipher, key, self._packetiser.ssrc)
            self._unprotector = Unprotector(settings.srtp_cipher, key)
        self._history = History()
        self._parity: ParityMaker | None = None
        if settings.redundancy:
            number = payload_type(settings.payload_type)
            self._parity = ParityMaker(self._packetiser.ssrc, number, settings.redundancy / 100)
        self._lock = threading.Lock()  # guards the encoder's exchange, the history and the counts
        self._encoder: EncoderPipeline | None = None
        self._rtsp: RtspServer | None = None
        self._sockets: dict[int, socket.socket] = {}
        self._row = encoders.choose(settings.encoder, settings.codec)
        wanted = [("host", settings.host, settings.port)]
        wanted += [("destinations", *split_address("destinations", text)) for text in settings.destinations]
        self._targets = [sockets.resolve(*each) for each in wanted]
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._stats = SenderStats(encoder=self._row.element)
        self._counters = Counters()
        self._bytes = Meter(window=2.0, most=20_000)
        self._delay = Meter(window=5.0)
        self._octets = 0
        self._stamp_ns = 0
        self._frame_id = settings.frame_id
        self._sets: list[bytes] = []
        self._last_request = 0.0
        self._resent_at: dict[tuple[int, sockets.Address], float] = {}
        self._credit = 0.0
        self._entered: dict[int, float] = {}
        self._unanswered_since = 0.0

    def start(self) -> None:
        """Open the sockets and write the SDP file.

        Raises:
            SettingError: the SDP file cannot be written, the RTSP port is in use.
            MissingDependency: the RTSP server's library is not installed.
        """
        settings = self._settings
        self._write_sdp()
        if settings.rtsp_port:
            self._rtsp = RtspServer(self._codec, settings.rtsp_port, settings.rtsp_path, self.force_keyframe)
        for family in {family for family, _ in self._targets}:
            self._sockets[family] = sockets.sender(family, settings.ttl, settings.dscp)
        self._threads = [threading.Thread(target=self._work, args=(self._deliver,), name="rtp-send", daemon=True)]
        self._threads += [
            threading.Thread(target=self._work, args=(self._listen, each), name="rtp-feedback", daemon=True)
            for each in self._sockets.values()
        ]
        for thread in self._threads:
            thread.start()

    def _work(self, work: Callable[..., None], *arguments: object) -> None:
        """The whole life of a thread; whatever ends it before its time is told."""
        try:
            work(*arguments)
        except Exception as error:
            if not self._stopping.is_set():
                self._failure = EdgecamError.of(error)
                self._on_failure(self._failure)

    def send(self, frame: Frame) -> None:
        """Encode and send one frame of any encoding; returns after the colour conversion.

        When the encoder is too slow the older waiting frame is dropped. A new size starts a new encoder (and so
        a keyframe). Odd sizes lose their last column or row.

        Raises:
            ImageError: the frame is too small or its encoding unknown.
            PipelineError: the encoder does not start.
            EdgecamError: the sender has failed and cannot go on.
        """
        if min(frame.width, frame.height) < SMALLEST:
            raise ImageError(f"a {frame.width}x{frame.height} frame is too small; {SMALLEST}x{SMALLEST} is the least")
        planes, width, height = i420.from_frame(frame)
        self.send_planes(planes, width, height, frame.stamp_ns, frame.frame_id)

    def send_planes(self, planes: np.ndarray, width: int, height: int, stamp_ns: int, frame_id: str) -> None:
        """As :meth:`send` for a frame that is I420 already: flat uint8 as ``i420.layout`` says, of even size."""
        if self._failure is not None:
            raise self._failure
        with self._lock:
            self._stats.frames_in += 1
            self._unanswered_since = self._unanswered_since or time.monotonic()
            self._frame_id = self._settings.frame_id or frame_id
            if self._encoder is None or self._encoder.size != (width, height):
                self._exchange(width, height)
            encoder = self._encoder
            self._entered[stamp_ns] = time.monotonic()
            while len(self._entered) > 16:
                del self._entered[next(iter(self._entered))]
        if encoder is not None:
            encoder.push(planes, stamp_ns)

    def _exchange(self, width: int, height: int) -> None:
        if self._stopping.is_set():
            return
        settings = self._settings
        request = encoders.Request(settings.bitrate, settings.keyframe_interval, settings.encoder_options)
        old, self._encoder = self._encoder, None
        if old is not None:
            old.stop()
        self._encoder = EncoderPipeline(self._row, request, width, height, settings.framerate)

    def set_bitrate(self, bitrate: int) -> None:
        """Change the encoder's target in bit/s while it runs; some encoders start anew, with a keyframe."""
        with self._lock:
            self._settings = self._settings.changed(bitrate=bitrate)
            if self._encoder is None:
                return
            if self._row.live_bitrate is not None:
                name, unit = self._row.live_bitrate
                self._encoder.set_bitrate(name, max(1, bitrate // unit))
            else:
                self._exchange(*self._encoder.size)

    def force_keyframe(self) -> bool:
        """Make the next frame a keyframe; False when there is no encoder yet."""
        with self._lock:
            encoder = self._encoder
        if encoder is not None:
            encoder.force_keyframe()
        return encoder is not None

    def _deliver(self) -> None:
        report_at = 0.0
        while not self._stopping.is_set():
            with self._lock:
                encoder = self._encoder
            if encoder is None:
                self._stopping.wait(0.02)
                continue
            try:
                coded = encoder.pull(0.1)
            except EdgecamError:
                if encoder is self._encoder:
                    raise
                continue  # that one was being replaced
            if coded is not None:
                self._send_access_unit(coded)
            if time.monotonic() >= report_at and self._stats.frames_sent:
                report_at = time.monotonic() + REPORT_SECONDS
                self._send_report()

    def _send_access_unit(self, coded: EncodedFrame) -> None:
        made = self._packetiser.packets(coded.nals, coded.stamp_ns)
        if self._protector is not None:
            made = [(sequence, self._protector.rtp(data)) for sequence, data in made]
        kinds = [self._codec.kind(unit) for unit in coded.nals]
        keyframe = any(map(self._codec.is_keyframe, kinds))
        now = time.monotonic()
        if self._rtsp is not None:
            self._rtsp.push(coded.nals, keyframe)
        if self.on_coded is not None:
            self.on_coded(coded.nals, coded.stamp_ns, self._frame_id)
        for sequence, data in made:
            with self._lock:
                self._history.add(sequence, data)
                self._credit = min(self._credit + RESEND_SHARE, RESEND_BURST)
            self._transmit(data, 0)
        parities = self._parity.add(made, self._packetiser.timestamp) if self._parity is not None else []
        for data in parities:
            self._transmit(data, PORT_OFFSET)
        with self._lock:
            self._stats.parity_packets += len(parities)
            self._stamp_ns = coded.stamp_ns
            self._stats.frames_sent += 1
            self._unanswered_since = 0.0
            self._stats.frames_skipped += coded.skipped
            self._stats.keyframes += keyframe
            self._stats.packets += len(made)
            self._octets += sum(len(data) for _, data in made)
            if entered := self._entered.pop(coded.stamp_ns, None):
                self._delay.add(now, now - entered)
        if keyframe:
            sets = [unit for unit, kind in zip(coded.nals, kinds, strict=True) if kind in self._codec.parameter_sets]
            if sets != self._sets:
                self._sets = sets
                with contextlib.suppress(EdgecamError):  # it was written once; a full disk must not end the stream
                    self._write_sdp()

    def _transmit(self, data: bytes, offset: int) -> None:
        for family, (host, port) in self._targets:
            self._send_to(family, (host, port + offset), data)
        self._bytes.add(time.monotonic(), len(data))

    def _send_to(self, family: int, address: sockets.Address, data: bytes) -> None:
        try:
            self._sockets[family].sendto(data, address)
        except OSError as error:  # no route, network down, buffer full: counted, the stream goes on
            self._counters.add(f"{error.strerror or error} ({address[0]})")

    def _send_report(self) -> None:
        with self._lock:
            counts = self._stats.packets, self._octets
            ntp = clock.ntp_from_ns(self._stamp_ns)
        ssrc = self._packetiser.ssrc
        report = rtcp.sender_report(ssrc, ntp, self._packetiser.timestamp, *counts)
        self._send_control(report + rtcp.source_description(ssrc, f"edgecam-{ssrc:08x}"))

    def _send_control(self, data: bytes) -> None:
        if self._protector is not None:
            data = self._protector.rtcp(data)
        for family, (host, port) in self._targets:
            self._send_to(family, (host, port + 1), data)

    def _listen(self, source: socket.socket) -> None:
        source.settimeout(0.2)
        while not self._stopping.is_set():
            try:
                data, sender = source.recvfrom(2048)
            except TimeoutError:
                continue
            except OSError:
                if self._stopping.is_set():
                    return
                self._counters.add("error while reading feedback")
                continue
            clear = data if self._unprotector is None else self._unprotector.rtcp(data)
            if clear is None:
                self._counters.add("feedback that the key does not fit")
                continue
            try:
                messages = rtcp.parse(clear)
            except PacketError:
                self._counters.add("feedback that is not RTCP")
                continue
            for message in messages:
                self._answer(message, source.family, (str(sender[0]), int(sender[1])))

    def _answer(self, message: object, family: int, sender: sockets.Address) -> None:
        if isinstance(message, rtcp.Nack) and message.media_ssrc == self._packetiser.ssrc:
            receiver = self._known_receiver(family, sender)
            if receiver is None:
                self._counters.add("requests from strangers")
                return
            for sequence in message.sequences:
                self._resend(sequence, family, receiver)
        elif isinstance(message, rtcp.KeyframeRequest) and message.media_ssrc == self._packetiser.ssrc:
            now = time.monotonic()
            with self._lock:
                self._stats.keyframe_requests += 1
            if now - self._last_request >= KEYFRAME_REQUEST_SECONDS:
                self._last_request = now
                self.force_keyframe()

    def _known_receiver(self, family: int, sender: sockets.Address) -> sockets.Address | None:
        """Where to send packets again: only to whom the stream goes, or anyone could aim it at a third party."""
        for known, target in self._targets:
            if known == family and target[0] == sender[0]:
                return sender  # its own port: it may sit behind address translation
            if known == family and sockets.is_multicast(target[0]):
                return target
        return None

    def _resend(self, sequence: int, family: int, sender: sockets.Address) -> None:
        now = time.monotonic()
        with self._lock:
            data = self._history.get(sequence)
            lately = now - self._resent_at.get((sequence, sender), 0.0) < RESEND_PAUSE_SECONDS
            if data is None or lately or self._credit < 1.0:
                return
            self._credit -= 1.0
            self._resent_at[sequence, sender] = now
            if len(self._resent_at) > 4096:
                self._resent_at = {key: at for key, at in self._resent_at.items() if now - at < 1.0}
            self._stats.resent += 1
        self._send_to(family, sender, data)
        self._bytes.add(now, len(data))

    def _write_sdp(self) -> None:
        settings = self._settings
        if not settings.sdp_file:
            return
        description = sdp.Description(
            address=self._targets[0][1][0],
            port=settings.port,
            payload_type=settings.payload_type,
            codec=settings.codec,
            parameters=self._codec.sprop_values(self._sets),
            extensions={clock.NTP_URI: clock.NTP_ID},
            frame_id=self._frame_id,
            bitrate=settings.bitrate,
            encrypted=bool(settings.srtp_key),
        )
        sdp.write_file(settings.sdp_file, description, os.getpid(), settings.ttl)

    def stats(self) -> SenderStats:
        """A copy of the counts; rates over the last seconds."""
        now = time.monotonic()
        with self._lock:
            stats = SenderStats(**vars(self._stats))
            stats.stalled = now - self._unanswered_since if self._unanswered_since else 0.0
        stats.bitrate = self._bytes.sum(now) * 8 / 2.0
        stats.fps = self._delay.rate(now)
        stats.encode_ms = self._delay.percentile(now, 50) * 1000
        stats.rtsp_clients = self._rtsp.clients if self._rtsp is not None else 0
        stats.troubles = self._counters.totals()
        return stats

    def stop(self) -> None:
        """Say goodbye (RTCP BYE) and free everything; safe to call twice. Blocks for up to a second."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=5.0)
        with self._lock:
            encoder, self._encoder = self._encoder, None
        if encoder is not None:
            encoder.stop()
        if self._rtsp is not None:
            self._rtsp.stop()
        if self._sockets:
            ssrc = self._packetiser.ssrc
            self._send_control(rtcp.receiver_report(ssrc) + rtcp.bye(ssrc))
        for each in self._sockets.values():
            each.close()
        self._sockets.clear()
