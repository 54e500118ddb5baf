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

"""Settings of the two ends of the bridge."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from edgecam_core.errors import SettingError
from edgecam_core.media.codecs import CODECS
from edgecam_core.rtp.srtp import CIPHERS
from edgecam_core.rtp.stamps import STAMP_SOURCES
from edgecam_core.settings import Settings, setting

LEAST_BITRATE = 50_000
_CODEC_NAMES = tuple(CODECS)
_SOURCE_SPECIFIC = (ipaddress.ip_network("232.0.0.0/8"), ipaddress.ip_network("ff30::/12"))


@dataclass(frozen=True, kw_only=True)
class SenderSettings(Settings):
    """Frames to RTP. Addresses are resolved when the sender starts, not here."""

    host: str = setting("127.0.0.1", "Where to send: a name, an IPv4 or IPv6 address, or a multicast group.")
    port: int = setting(5000, "UDP port to send to; RTCP goes to the next one.", low=1, high=65533)
    destinations: tuple[str, ...] = setting((), "Further receivers as host:port ([address]:port for IPv6).")
    codec: str = setting("h265", "What to encode with.", choices=_CODEC_NAMES)
    encoder: str = setting("auto", "GStreamer encoder element, or auto for the best one installed.")
    encoder_options: str = setting("", "More properties for the encoder element, e.g. speed-preset=superfast.")
    bitrate: int = setting(2_000_000, "Target of the encoder; with bitrate_min the most that is sent.",
                           low=50_000, high=100_000_000, unit="bit/s", runtime=True)  # fmt: skip
    bitrate_min: int = setting(0, "Adapt to the link: send between this and bitrate, as the receivers report loss and "
                               "delay; 0: always send with bitrate.",
                               low=0, high=100_000_000, unit="bit/s")  # fmt: skip
    framerate: float = setting(30.0, "Frames per second to expect; the encoder shares out the bitrate by it.",
                               low=1.0, high=240.0, unit="Hz")  # fmt: skip
    keyframe_interval: int = setting(30, "Frames from one keyframe to the next; a receiver that joins waits for one.",
                                     low=1, high=3600, unit="frames")  # fmt: skip
    mtu: int = setting(1400, "Largest RTP packet, header included, without the 28 or 48 bytes of UDP and IP.",
                       low=200, high=65_000, unit="bytes")  # fmt: skip
    payload_type: int = setting(96, "RTP payload type (dynamic range).", low=96, high=127)
    redundancy: int = setting(0, "Parity packets per hundred packets, sent to port + 2, for links on which the "
                              "receiver cannot answer; 0: none.", low=0, high=100, unit="%")  # fmt: skip
    srtp_key: str = setting("", "Encrypt with SRTP: path of the key file, or env:NAME for the variable that "
                            "holds the key; hexadecimal or base 64. Empty: no encryption.")  # fmt: skip
    srtp_cipher: str = setting("aes-128-gcm", "SRTP cipher; gcm needs 28 bytes of key, icm (with HMAC-SHA1-80) 30.",
                               choices=tuple(CIPHERS))  # fmt: skip
    sdp_file: str = setting("", "Write the session description here for other players; empty: none.")
    interface: str = setting("", "Network interface that multicast leaves by, e.g. eth0; empty: the system's choice.")
    ttl: int = setting(1, "Router hops a multicast packet may take.", low=0, high=255)
    dscp: int = setting(0, "Differentiated services code point of the packets (34 is AF41, video).", low=0, high=63)
    rtsp_port: int = setting(0, "Serve the stream by RTSP on this TCP port too, unencrypted, for players; "
                             "0: no server.", low=0, high=65535)  # fmt: skip
    rtsp_path: str = setting(
        "camera", "Name of the stream in its RTSP address, rtsp://this-machine:rtsp_port/rtsp_path."
    )
    frame_id: str = setting("", "Optical frame to name in the SDP file; empty: that of the frames.")

    def check(self) -> None:
        for destination in self.destinations:
            split_address("destinations", destination)
        if self.rtsp_port and self.srtp_key:
            raise SettingError("rtsp_port", self.rtsp_port, "serves the stream unencrypted; not together with srtp_key")
        if not re.fullmatch(r"[\w./-]+", self.rtsp_path):
            raise SettingError("rtsp_path", self.rtsp_path, "must be letters, digits, '-', '_', '.' and '/'")
        if self.bitrate_min > self.bitrate:
            raise SettingError("bitrate_min", self.bitrate_min, f"must not exceed bitrate ({self.bitrate})")
        if 0 < self.bitrate_min < LEAST_BITRATE:
            raise SettingError("bitrate_min", self.bitrate_min, f"must be 0 or at least {LEAST_BITRATE} bit/s")
        if "!" in self.encoder_options:
            raise SettingError("encoder_options", self.encoder_options, "must be properties like name=value, no '!'")


@dataclass(frozen=True, kw_only=True)
class ReceiverSettings(Settings):
    """RTP to frames."""

    host: str = setting("0.0.0.0", "Local address to listen on (0.0.0.0 or :: for all), or a multicast group to join.")
    port: int = setting(5000, "UDP port to listen on; RTCP is expected there or on the next one.", low=1, high=65533)
    codec: str = setting("h265", "What the stream is encoded with.", choices=_CODEC_NAMES)
    decoder: str = setting("auto", "GStreamer decoder element, or auto for the best one installed.")
    latency: int = setting(60, "Longest time a missing packet may hold back what follows it; costs nothing while "
                           "nothing is missing.", low=0, high=5000, unit="ms")  # fmt: skip
    payload_type: int = setting(96, "RTP payload type to take; 0 takes any.", low=0, high=127)
    sdp_file: str = setting("", "Session description of the stream; its multicast group, port, codec, payload type, "
                            "parameter sets and optical frame win over the parameters. Empty: none.")  # fmt: skip
    source_address: str = setting("", "Take packets only from this address or network (192.168.1.0/24); empty: any. "
                                  "A group of source-specific multicast (232.0.0.0/8, ff3x::) is joined for this "
                                  "address.")  # fmt: skip
    interface: str = setting("", "Network interface on which a multicast group is joined, e.g. eth0; empty: the "
                             "system's choice.")  # fmt: skip
    stamp_source: str = setting("auto", "Source of the capture time; auto takes the header extension, then "
                                "RTCP, then the arrival time.", choices=("auto", *STAMP_SOURCES))  # fmt: skip
    timeout: float = setting(
        1.0, "Time without packets after which the stream has ended.", low=0.1, high=60.0, unit="s"
    )
    feedback: bool = setting(True, "Request lost packets and keyframes from the sender (RTCP NACK and PLI).")
    redundancy: bool = setting(False, "Listen on port + 2 for the sender's parity packets and repair losses with them.")
    srtp_key: str = setting("", "SRTP: path of the key file, or env:NAME for the variable that "
                            "holds the key; hexadecimal or base 64. Empty: the stream is not encrypted.")  # fmt: skip
    srtp_cipher: str = setting("aes-128-gcm", "SRTP cipher; gcm needs 28 bytes of key, icm (with HMAC-SHA1-80) 30.",
                               choices=tuple(CIPHERS))  # fmt: skip
    frame_id: str = setting("camera_optical_frame", "Optical frame of the frames, unless the SDP file names one.")

    def check(self) -> None:
        self.source_network()

    def group_source(self) -> str:
        """The address for which a group of source-specific multicast is joined; empty for other groups and hosts."""
        try:
            group = ipaddress.ip_address(self.host.partition("%")[0])
            source = ipaddress.ip_address(self.source_address)
        except ValueError:
            return ""
        return str(source) if any(group in each for each in _SOURCE_SPECIFIC) else ""

    def source_network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
        """The network that packets must be from; None for any."""
        if not self.source_address:
            return None
        try:
            return ipaddress.ip_network(self.source_address, strict=False)
        except ValueError:
            remedy = "must be an address or a network, e.g. 192.168.1.20 or 192.168.1.0/24"
            raise SettingError("source_address", self.source_address, remedy) from None


def split_address(name: str, text: str) -> tuple[str, int]:
    """``host:port`` or ``[address]:port`` as a pair; SettingError if it is neither."""
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not bare or (":" in bare and bare == host) or not port.isdecimal() or not 0 < int(port) < 65534:
        raise SettingError(name, text, "must be host:port with a port from 1 to 65533, e.g. 192.168.1.20:5000")
    return bare, int(port)
