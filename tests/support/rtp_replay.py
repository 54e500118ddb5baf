"""Coded clips from the real encoders, and a sender that replays them packet by packet."""

from __future__ import annotations

import functools
import socket
import time
from typing import NamedTuple

from edgecam_core.media import gst, nal
from edgecam_core.media.codecs import CODECS
from edgecam_core.media.encoders import raw_caps
from edgecam_core.media.i420 import from_frame
from edgecam_core.rtp import packet as rtp
from edgecam_core.rtp import rtcp
from edgecam_core.rtp.clock import NTP_ID, ntp_extension, ntp_from_ns
from edgecam_core.rtp.receiver import Receiver
from rtp_scene import HEIGHT, WIDTH, decoder_is_behind, frame
from waiting import wait_until

RATE = 60
INTERVAL_NS = 1_000_000_000 // RATE


class Unit(NamedTuple):
    """One access unit in decoding order; ``number`` is the frame number."""

    nals: list[bytes]
    number: int


@functools.cache
def clip(encoder: str, options: str, count: int) -> tuple[Unit, ...]:
    """Numbered frames encoded by ``encoder`` (x264enc or x265enc) with these properties, in decoding order."""
    codec = CODECS["h264" if "264" in encoder else "h265"]
    pipeline = gst.Pipeline(
        f'appsrc name=src format=time max-bytes=0 max-buffers=0 caps="{raw_caps(WIDTH, HEIGHT, RATE)}" ! '
        f"{encoder} bitrate=800 {options} ! {codec.parser} config-interval=-1 ! "
        f"{codec.media_type},stream-format=byte-stream,alignment=au ! appsink name=sink sync=false max-buffers=0"
    )
    pipeline.start(timeout=0.0)  # there is no frame yet to wait for
    for index in range(count):
        pipeline.push(pipeline.new_buffer(from_frame(frame(index))[0], index * INTERVAL_NS, INTERVAL_NS))
    pipeline.element("src").emit("end-of-stream")
    coded: list[tuple[int, list[bytes]]] = []
    while len(coded) < count:
        sample = pipeline.pull(120.0)
        assert sample is not None, f"{encoder} gave {len(coded)} of {count} frames"
        with sample:
            coded.append((sample.pts_ns, nal.split(sample.data.tobytes())))
    pipeline.stop()
    first = min(pts for pts, _ in coded)
    return tuple(Unit(nals, round((pts - first) / INTERVAL_NS)) for pts, nals in coded)


class Replay:
    """Sends access units to a port of this machine. ``start_ns`` is the capture time of frame 0."""

    def __init__(self, port: int, codec: str, extension: bool = False, payload_type: int = 96) -> None:
        self.codec = CODECS[codec]
        self.ssrc = 0x1234
        self.sequence = 65_500  # wraps soon
        self.rtp_offset = 0xFFFFF000  # of frame 0; wraps soon
        self.start_ns = time.time_ns()
        self._extension = extension
        self._payload_type = payload_type
        self._target = ("127.0.0.1", port)
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._next = time.monotonic()
        self.sent = 0  # packets

    def timestamp(self, index: int) -> int:
        return (self.rtp_offset + index * 90_000 // RATE) & 0xFFFFFFFF

    def stamp_ns(self, index: int) -> int:
        return self.start_ns + index * INTERVAL_NS

    def packets(self, unit: Unit, limit: int = 1000) -> list[bytes]:
        block = rtp.extension_block({NTP_ID: ntp_extension(self.stamp_ns(unit.number))}) if self._extension else b""
        payloads = self.codec.pack(unit.nals, limit)
        made = []
        for number, payload in enumerate(payloads, 1):
            last = number == len(payloads)
            timestamp = self.timestamp(unit.number)
            made.append(rtp.build(self._payload_type, last, self.sequence, timestamp, self.ssrc, payload, block))
            self.sequence = (self.sequence + 1) & 0xFFFF
        return made

    def send(self, unit: Unit, lost: bool = False) -> None:
        """Send one unit when it is due (``RATE`` per second), or drop all its packets."""
        self._next = max(self._next + 1 / RATE, time.monotonic() - 0.1)
        time.sleep(max(0.0, self._next - time.monotonic()))
        for data in self.packets(unit):
            if not lost:
                self._socket.sendto(data, self._target)
                self.sent += 1

    def send_when_ready(self, unit: Unit, receiver: Receiver, lost: bool = False) -> None:
        """As ``send``, after the earlier units are read and decoded: a decoder that is too slow skips to a keyframe."""
        assert receiver._decoder is not None
        wait_until(lambda: receiver._meter.datagrams >= self.sent, what="the packets")
        wait_until(lambda: not decoder_is_behind(receiver), what="the decoder")
        self.send(unit, lost)

    def report(self, index: int = 0) -> None:
        """An RTCP sender report with the capture time of frame ``index``."""
        data = rtcp.sender_report(self.ssrc, ntp_from_ns(self.stamp_ns(index)), self.timestamp(index), 0, 0)
        self._socket.sendto(data, self._target)

    def close(self) -> None:
        self._socket.close()
