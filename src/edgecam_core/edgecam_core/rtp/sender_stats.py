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

"""Statistics of a sender."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class SenderStats:
    """Statistics since the start; rates are over the last seconds, in bit/s.

    ``bitrate`` and ``sent_bitrate`` are the rate of all packets sent, retransmissions and parity included.
    ``target_bitrate`` is the rate that the link allows (the ``bitrate`` setting if the sender does not adapt).
    ``estimated_bitrate`` is the rate that arrives and ``queuing_ms`` the time packets wait in the network, both from
    the receivers' reports; nan: unknown.

    ``frames_skipped`` arrived while the encoder was busy, ``frames_withheld`` while the link was full.
    ``stalled`` is the number of seconds since frames went into the encoder without any coming out.
    """

    encoder: str = ""
    frames_in: int = 0
    frames_sent: int = 0
    frames_skipped: int = 0
    frames_withheld: int = 0
    keyframes: int = 0
    packets: int = 0
    bitrate: float = 0.0
    target_bitrate: float = 0.0
    sent_bitrate: float = 0.0
    estimated_bitrate: float = float("nan")
    queuing_ms: float = float("nan")
    fps: float = 0.0
    encode_ms: float = float("nan")
    stalled: float = 0.0
    resent: int = 0
    parity_packets: int = 0
    keyframe_requests: int = 0
    rtsp_clients: int = 0
    errors: dict[str, int] = field(default_factory=dict)
