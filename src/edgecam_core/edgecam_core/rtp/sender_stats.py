"""What a sender reports about itself."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class SenderStats:
    """What a sender has done. ``bitrate`` is the rate of the packets sent over the last seconds, in bit/s.

    ``stalled``: seconds since frames went into the encoder without any coming out.
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
