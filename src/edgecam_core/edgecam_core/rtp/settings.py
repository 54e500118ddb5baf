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

"""Settings of the sender and the receiver."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from edgecam_core.errors import SettingError
from edgecam_core.media.codecs import CODECS
from edgecam_core.rtp.srtp import CIPHERS
from edgecam_core.rtp.stamps import STAMP_SOURCES
from edgecam_core.settings import Settings, setting

MIN_BITRATE = 50_000
_CODEC_NAMES = tuple(CODECS)
_SOURCE_SPECIFIC = (ipaddress.ip_network("232.0.0.0/8"), ipaddress.ip_network("ff30::/12"))


@dataclass(frozen=True, kw_only=True)
class SenderSettings(Settings):
    """Frames to RTP. Addresses are resolved when the sender starts, not here."""

    host: str = setting("127.0.0.1", "Where to send: a name, an IPv4 or IPv6 address, or a multicast group.")
    port: int = setting(5000, "UDP port to send to; RTCP goes to the next one.", low=1, high=65533)
    destinations: tuple[str, ...] = setting((), "Additional receivers as host:port ([address]:port for IPv6).")
    codec: str = setting("h265", "Codec to encode with.", choices=_CODEC_NAMES)
    encoder: str = setting("auto", "GStreamer encoder element, or auto for the best one installed.")
    encoder_options: str = setting("", "Additional properties of the encoder element, e.g. speed-preset=superfast.")
    bitrate: int = setting(2_000_000, "Target bitrate of the encoder; with bitrate_min, the maximum.",
                           low=50_000, high=100_000_000, unit="bit/s", runtime=True)  # fmt: skip
    bitrate_min: int = setting(0, "Minimum when adapting to the link: the bitrate varies between this and bitrate as "
                               "receivers report loss and delay; 0: do not adapt.",
                               low=0, high=100_000_000, unit="bit/s")  # fmt: skip
    framerate: float = setting(30.0, "Expected frame rate; the encoder divides the bitrate among the frames by it.",
                               low=1.0, high=240.0, unit="Hz")  # fmt: skip
    keyframe_interval: int = setting(30, "Frames from one keyframe to the next; a new receiver waits for a keyframe.",
                                     low=1, high=3600, unit="frames")  # fmt: skip
    mtu: int = setting(1400, "Largest RTP packet, RTP header included, without the 28 or 48 bytes of UDP and IP.",
                       low=200, high=65_000, unit="bytes")  # fmt: skip
    payload_type: int = setting(96, "RTP payload type (dynamic range).", low=96, high=127)
    redundancy: int = setting(0, "Parity packets per hundred packets, sent to port + 2, for one-way links; 0: none.",
                              low=0, high=100, unit="%")  # fmt: skip
    srtp_key: str = setting("", "SRTP key: path of a file, or env:NAME for an environment variable, that contains "
                            "the key in hexadecimal or base 64. Empty: no encryption.")  # fmt: skip
    srtp_cipher: str = setting("aes-128-gcm", "SRTP cipher; gcm needs 28 bytes of key, icm (with HMAC-SHA1-80) 30.",
                               choices=tuple(CIPHERS))  # fmt: skip
    sdp_file: str = setting("", "Path to write the session description (SDP) to, for other players; empty: none.")
    interface: str = setting("", "Network interface to send multicast on, e.g. eth0; empty: the system chooses.")
    ttl: int = setting(1, "Time to live (router hops) of multicast packets.", low=0, high=255)
    dscp: int = setting(
        0, "Differentiated services code point (DSCP) of the packets; 34 is AF41, video.", low=0, high=63
    )
    rtsp_port: int = setting(0, "TCP port on which the stream is also served by RTSP, unencrypted, for players; "
                             "0: no server.", low=0, high=65535)  # fmt: skip
    rtsp_path: str = setting(
        "camera", "Name of the stream in its RTSP address, rtsp://this-machine:rtsp_port/rtsp_path."
    )
    frame_id: str = setting("", "Optical frame to write to the SDP file; empty: the frame id of the images.")

    def check(self) -> None:
        for destination in self.destinations:
            split_address("destinations", destination)
        if self.rtsp_port and self.srtp_key:
            raise SettingError(
                "rtsp_port", self.rtsp_port, "serves the stream unencrypted and cannot be combined with srtp_key"
            )
        if not re.fullmatch(r"[\w./-]+", self.rtsp_path):
            raise SettingError("rtsp_path", self.rtsp_path, "must be letters, digits, '-', '_', '.' and '/'")
        if self.bitrate_min > self.bitrate:
            raise SettingError("bitrate_min", self.bitrate_min, f"must not exceed bitrate ({self.bitrate})")
        if 0 < self.bitrate_min < MIN_BITRATE:
            raise SettingError("bitrate_min", self.bitrate_min, f"must be 0 or at least {MIN_BITRATE} bit/s")
        if "!" in self.encoder_options:
            raise SettingError(
                "encoder_options", self.encoder_options, "must be properties such as name=value, without '!'"
            )


@dataclass(frozen=True, kw_only=True)
class ReceiverSettings(Settings):
    """RTP to frames."""

    host: str = setting("0.0.0.0", "Local address to listen on (0.0.0.0 or :: for all), or a multicast group to join.")
    port: int = setting(
        5000, "UDP port to listen on; RTCP is received on this port or the next one.", low=1, high=65533
    )
    codec: str = setting("h265", "Codec of the stream.", choices=_CODEC_NAMES)
    decoder: str = setting("auto", "GStreamer decoder element, or auto for the best one installed.")
    latency: int = setting(60, "Longest time to wait for a missing packet; adds no delay while no packet is missing.",
                           low=0, high=5000, unit="ms")  # fmt: skip
    payload_type: int = setting(96, "RTP payload type to accept; 0 accepts any.", low=0, high=127)
    sdp_file: str = setting("", "Session description (SDP) of the stream; its multicast group, port, codec, payload "
                            "type, parameter sets and optical frame override the parameters. Empty: none.")  # fmt: skip
    source_address: str = setting("", "Accept packets only from this address or network (192.168.1.0/24); empty: any. "
                                  "A source-specific multicast group (232.0.0.0/8, ff3x::) is joined for this "
                                  "address.")  # fmt: skip
    interface: str = setting("", "Network interface on which to join a multicast group, e.g. eth0; empty: the "
                             "system chooses.")  # fmt: skip
    stamp_source: str = setting("auto", "Source of the capture time; auto uses the header extension if present, else "
                                "RTCP, else the arrival time.", choices=("auto", *STAMP_SOURCES))  # fmt: skip
    timeout: float = setting(
        1.0, "Time without packets after which the stream counts as ended.", low=0.1, high=60.0, unit="s"
    )
    feedback: bool = setting(True, "Request lost packets (RTCP NACK) and keyframes (PLI) from the sender.")
    redundancy: bool = setting(False, "Receive the sender's parity packets on port + 2 and repair losses with them.")
    srtp_key: str = setting("", "SRTP key: path of a file, or env:NAME for an environment variable, that contains "
                            "the key in hexadecimal or base 64. Empty: the stream is not encrypted.")  # fmt: skip
    srtp_cipher: str = setting("aes-128-gcm", "SRTP cipher; gcm needs 28 bytes of key, icm (with HMAC-SHA1-80) 30.",
                               choices=tuple(CIPHERS))  # fmt: skip
    frame_id: str = setting("camera_optical_frame", "Optical frame of the images, unless the SDP file names one.")

    def check(self) -> None:
        self.source_network()

    @property
    def optical_frame(self) -> str:
        """The optical frame of the images, unless the SDP file names one."""
        return self.frame_id

    def group_source(self) -> str:
        """The source address of a source-specific multicast group; empty for other groups and hosts."""
        try:
            group = ipaddress.ip_address(self.host.partition("%")[0])
            source = ipaddress.ip_address(self.source_address)
        except ValueError:
            return ""
        return str(source) if any(group in each for each in _SOURCE_SPECIFIC) else ""

    def source_network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
        """The network from which packets are accepted; None: any.

        Raises:
            SettingError: ``source_address`` is neither an address nor a network.
        """
        if not self.source_address:
            return None
        try:
            return ipaddress.ip_network(self.source_address, strict=False)
        except ValueError:
            remedy = "must be an address or a network, e.g. 192.168.1.20 or 192.168.1.0/24"
            raise SettingError("source_address", self.source_address, remedy) from None


def split_address(name: str, text: str) -> tuple[str, int]:
    """``host:port`` or ``[address]:port`` as a pair.

    Raises:
        SettingError: for the parameter ``name``: the text is neither.
    """
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not bare or (":" in bare and bare == host) or not port.isdecimal() or not 0 < int(port) < 65534:
        raise SettingError(name, text, "must be host:port with a port from 1 to 65533, e.g. 192.168.1.20:5000")
    return bare, int(port)
