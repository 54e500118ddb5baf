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

"""``rtp://@:port`` or ``rtp://group:port``: an RTP stream over UDP without signalling."""

from __future__ import annotations

import re

from edgecam_core.camera.plan import SourcePlan
from edgecam_core.camera.platform import Have, decode_text
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.camera.uri import SourceUri
from edgecam_core.errors import SettingError

SCHEMES = ("rtp",)
EXAMPLE = "rtp://@:5000"
_HOST = re.compile(r"[\w.-]*|\[[\w:.%]+\]", re.ASCII)
_DEPAY = {
    "h264": "rtph264depay ! h264parse ! video/x-h264,stream-format=avc,alignment=au",
    "h265": "rtph265depay ! h265parse ! video/x-h265,stream-format=hvc1,alignment=au",
    "jpeg": "rtpjpegdepay",
}


def plan(settings: CameraSettings, uri: SourceUri, have: Have) -> SourcePlan:
    """The plan for a stream such as ``rtph265pay ! udpsink port=5000`` sends; ``rtp_codec`` is its codec.

    Raises:
        SettingError: the URI has no valid port.
    """
    host, _, port = uri.rest.removeprefix("//").rstrip("/").lstrip("@").rpartition(":")
    if (
        not _HOST.fullmatch(host) or not port.isdecimal() or not 1 <= int(port) <= 65535
    ):  # udpsrc accepts 80000 without an error and receives nothing
        raise SettingError("source", uri.text, f"needs a port from 1 to 65535; write {EXAMPLE}")
    codec = settings.rtp_codec
    caps = f"application/x-rtp,media=video,clock-rate=90000,encoding-name={codec.upper()}"
    address = f" address={host.strip('[]')}" if host else ""
    head = (
        f"udpsrc port={port}{address} buffer-size=4000000 caps={caps} "
        f"! rtpjitterbuffer latency={settings.latency} mode=none ! {_DEPAY[codec]}"
    )
    decode, note = decode_text(codec, settings.decoder, have)
    return SourcePlan(head, codec=codec, decode=decode, has_coded=codec != "jpeg", remote=True, notes=(note,))
