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

"""Statistics of a receiver, and the reason if there are no frames."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from edgecam_core.counters import Meter
from edgecam_core.media.codecs import codec
from edgecam_core.rtp.settings import ReceiverSettings

# Without a frame for this long, something is wrong: keyframes are requested several times a second.
DOUBTFUL_PACKETS, DOUBTFUL_SECONDS = 200, 2.0
_BITRATE_SECONDS = 2.0


@dataclass
class ReceiverStats:
    """Statistics since the start. ``state`` is silent, waiting (for a keyframe) or running; ``problem`` is the reason.

    Loss is counted in packets: ``missing`` before repair, ``lost`` after it. Ages are seconds; nan: never.
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
    errors: dict[str, int] = field(default_factory=dict)


class ReceiverMeter:
    """Measures received datagrams and decoded frames. Times are monotonic nanoseconds. Safe to read from any thread."""

    def __init__(self, settings: ReceiverSettings) -> None:
        self._settings = settings
        self._bytes = Meter(window=_BITRATE_SECONDS, capacity=20_000)
        self._frames = Meter()
        self._packet_ns = 0
        self._keyframe_ns = 0
        self._packets_before = 0  # received before the newest decoded frame, or before the stream began
        self._decoded_ns = 0

    @property
    def datagrams(self) -> int:
        return self._bytes.count

    def datagram(self, size: int, now_ns: int, is_media: bool) -> None:
        if is_media:
            self._packet_ns = now_ns
        self._bytes.add(now_ns / 1e9, size)

    def keyframe(self, now_ns: int) -> None:
        """A keyframe went to the decoder."""
        self._keyframe_ns = now_ns

    def frame(self, now_ns: int, arrived_ns: int) -> None:
        """A frame was decoded; its last packet had arrived at ``arrived_ns``."""
        self._frames.add(now_ns / 1e9, (now_ns - arrived_ns) / 1e9)

    def progress(self, packets: int) -> None:
        """A stream began or a frame was decoded: restart the count of packets without a frame."""
        self._packets_before = packets
        self._decoded_ns = time.monotonic_ns()

    def add_to(self, stats: ReceiverStats) -> None:
        """Fill in rates, ages and the problem."""
        now = time.monotonic()
        if self._packet_ns:
            stats.packet_age = now - self._packet_ns / 1e9
        if self._keyframe_ns:
            stats.keyframe_age = now - self._keyframe_ns / 1e9
        stats.bitrate = self._bytes.sum(now) * 8 / _BITRATE_SECONDS
        stats.frames = self._frames.count
        stats.fps = self._frames.rate(now)
        stats.decode_ms = self._frames.percentile(now, 50) * 1000
        stats.problem = self._problem(stats)

    def _problem(self, stats: ReceiverStats) -> str:
        """The reason for having no frames; empty if frames arrive."""
        if stats.state == "silent":
            port = f"UDP port {self._settings.port}"
            heard = stats.packet_age <= self._settings.timeout
            return f"datagrams arrive on {port}, but none belongs to the stream" if heard else f"no stream on {port}"
        without, seconds = stats.packets - self._packets_before, (time.monotonic_ns() - self._decoded_ns) / 1e9
        if without > DOUBTFUL_PACKETS and seconds > DOUBTFUL_SECONDS:
            name = codec(self._settings.codec).encoding_name.replace("H", "H.")
            return f"no {name} frame in {without} packets: another codec, encrypted, or keyframes far apart?"
        return "waiting for a keyframe" if stats.state == "waiting" else ""
