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

"""Session descriptions (SDP, RFC 8866) of one video stream: parsing and writing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from edgecam_core.errors import SettingError
from edgecam_core.files import write_atomically
from edgecam_core.media.codecs import CODECS
from edgecam_core.rtp.clock import CLOCK_RATE, NTP_ID, NTP_URI

FRAME_ATTRIBUTE = "x-frame-id"


@dataclass(frozen=True)
class SessionDescription:
    """One video stream. ``codec`` is a key of ``CODECS``; ``address`` may be a multicast group.

    For SRTP, ``encrypted`` is set; a description never contains the key.
    """

    address: str
    port: int
    payload_type: int
    codec: str
    parameters: dict[str, str] = field(default_factory=dict)
    extensions: dict[str, int] = field(default_factory=dict)
    frame_id: str = ""
    feedback: bool = False
    encrypted: bool = False
    bitrate: int = 0
    source: str = ""  # the only sender of the multicast group (RFC 4570), numeric


def write(text: SessionDescription, session: int = 0, ttl: int = 1) -> str:
    """The session description, with CRLF line endings as the standard requires."""
    family = "IP6" if ":" in text.address else "IP4"
    first = text.address.split(".")[0]
    multicast = family == "IP4" and first.isdecimal() and 224 <= int(first) <= 239
    where = f"{text.address}/{ttl}" if multicast else text.address
    encoding = CODECS[text.codec].encoding_name
    lines = [
        "v=0",
        f"o=- {session} 1 IN {family} {text.address}",
        "s=edgecam",
        f"c=IN {family} {where}",
        "t=0 0",
        f"m=video {text.port} RTP/{'S' if text.encrypted else ''}AVP{'F' if text.feedback else ''} {text.payload_type}",
        *([f"b=AS:{max(1, text.bitrate // 1000)}"] if text.bitrate else []),
        f"a=rtpmap:{text.payload_type} {encoding}/{CLOCK_RATE}",
    ]
    if text.parameters:
        pairs = "; ".join(f"{name}={value}" for name, value in text.parameters.items())
        lines.append(f"a=fmtp:{text.payload_type} {pairs}")
    lines += [f"a=extmap:{number} {uri}" for uri, number in text.extensions.items()]
    if text.feedback:
        lines += [f"a=rtcp-fb:{text.payload_type} nack", f"a=rtcp-fb:{text.payload_type} nack pli"]
    if text.frame_id:
        lines.append(f"a={FRAME_ATTRIBUTE}:{text.frame_id}")
    return "\r\n".join([*lines, "a=sendonly", ""])


def parse(text: str) -> SessionDescription:
    """The first video stream of a session description that edgecam can receive.

    Raises:
        ValueError: there is none; the text states what was found instead.
    """
    address, media, attributes = _sections(text)
    if media is None:
        raise ValueError("it has no line 'm=video'")
    port, payload_types = media
    for payload_type in payload_types:
        encoding, rate = _rtpmap(attributes, payload_type)
        name = next((key for key, row in CODECS.items() if row.encoding_name == encoding.upper()), "")
        if name and rate == CLOCK_RATE:
            return SessionDescription(
                address=address,
                port=port,
                payload_type=payload_type,
                codec=name,
                parameters=_fmtp(attributes, payload_type),
                extensions=_extensions(attributes),
                frame_id=next((a.partition(":")[2] for a in attributes if a.startswith(FRAME_ATTRIBUTE + ":")), ""),
                encrypted="encrypted" in attributes,
                source=_source(attributes, address),
                feedback=any(a.startswith("rtcp-fb:") for a in attributes),
            )
    names = " nor ".join(row.encoding_name for row in CODECS.values())
    raise ValueError(f"its video is neither {names} at {CLOCK_RATE} Hz")


def _sections(text: str) -> tuple[str, tuple[int, list[int]] | None, list[str]]:
    """Connection address, port and payload types of the first video, and the attributes that apply to it."""
    address, media = "", None
    common: list[str] = []
    own: list[str] = []
    section = "session"
    for line in text.replace("\r", "\n").split("\n"):
        kind, _, value = line.strip().partition("=")
        if kind == "m":
            section = "other"
            match = re.fullmatch(r"video (\d+)(?:/\d+)? \S+ ([\d ]+)", value)
            if match and media is None:
                section = "video"
                media = int(match[1]), [int(number) for number in match[2].split()]
            if section == "video" and "/SAVP" in value:
                own.append("encrypted")
        elif kind == "c" and section != "other" and len(value.split()) == 3:
            address = value.split()[2].split("/")[0]
        elif kind == "a" and section != "other":
            (own if section == "video" else common).append(value)
    return address, media, common + own


def _rtpmap(attributes: list[str], payload_type: int) -> tuple[str, int]:
    for attribute in attributes:
        if match := re.fullmatch(rf"rtpmap:{payload_type} ([\w.-]+)/(\d+).*", attribute):
            return match[1], int(match[2])
    return "", 0


def _fmtp(attributes: list[str], payload_type: int) -> dict[str, str]:
    for attribute in attributes:
        head, _, value = attribute.partition(" ")
        if head == f"fmtp:{payload_type}":
            pairs = (part.strip().partition("=") for part in value.split(";"))
            return {name.lower(): content for name, _, content in pairs if name}
    return {}


def _source(attributes: list[str], group: str) -> str:
    """The address that a source filter includes for this group or for any group; empty if there is none."""
    for attribute in attributes:
        match = re.fullmatch(r"source-filter:\s*incl IN (?:IP[46]|\*) (\S+) (\S+)", attribute)
        if match and match[1] in (group, "*"):
            return match[2]
    return ""


def _extensions(attributes: list[str]) -> dict[str, int]:
    found = (re.fullmatch(r"extmap:(\d+)(?:/\w+)? (\S+).*", attribute) for attribute in attributes)
    return {match[2]: int(match[1]) for match in found if match}


def read_file(path: str) -> SessionDescription:
    """The description in a file.

    Raises:
        SettingError: for the parameter ``sdp_file``: cannot be read, or describes no video that edgecam can receive.
    """
    try:
        return parse(Path(path).expanduser().read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise SettingError("sdp_file", path, f"cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SettingError("sdp_file", path, f"describes no stream that edgecam can receive: {error}") from None


def write_file(path: str, description: SessionDescription, session: int, ttl: int) -> None:
    """Write the description atomically, so that a reader never sees part of it.

    Raises:
        SettingError: for the parameter ``sdp_file``: cannot be written.
    """
    try:
        write_atomically(Path(path).expanduser(), write(description, session, ttl))
    except OSError as error:
        raise SettingError("sdp_file", path, f"cannot be written: {error.strerror}") from None


def stamp_id(extensions: dict[str, int]) -> int:
    """The local identifier of the NTP-64 extension; edgecam's default if the description names none."""
    return extensions.get(NTP_URI, NTP_ID)
