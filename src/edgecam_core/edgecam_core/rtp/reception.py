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

"""The stream that a receiver expects: its settings, completed by the session description."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgecam_core.errors import SettingError
from edgecam_core.media.codecs import codec
from edgecam_core.rtp import sdp, sockets
from edgecam_core.rtp.clock import NTP_ID
from edgecam_core.rtp.settings import ReceiverSettings


@dataclass(frozen=True)
class Reception:
    """The expected stream. ``parameter_sets`` are those of the SDP file.

    ``group_source`` is the source address of a source-specific multicast group (empty: any source).
    """

    settings: ReceiverSettings
    frame_id: str
    group_source: str
    stamp_id: int = NTP_ID
    parameter_sets: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, settings: ReceiverSettings) -> Reception:
        """The stream described by these settings and their SDP file.

        Raises:
            SettingError: the file cannot be read, or describes a stream that cannot be received with these settings.
        """
        if not settings.sdp_file:
            return cls(settings, settings.optical_frame, settings.group_source())
        described = sdp.read_file(settings.sdp_file)
        if described.encrypted and not settings.srtp_key:
            remedy = "describes an encrypted stream (SRTP): set srtp_key as well"
            raise SettingError("sdp_file", settings.sdp_file, remedy)
        host = described.address if _is_group(described.address) else settings.host
        settings = settings.changed(
            host=host, port=described.port, codec=described.codec, payload_type=described.payload_type
        )
        return cls(
            settings,
            described.frame_id or settings.optical_frame,
            described.source or settings.group_source(),
            sdp.stamp_id(described.extensions),
            codec(described.codec).sprop_nals(described.parameters),
        )


def _is_group(address: str) -> bool:
    try:
        return sockets.is_multicast(address)
    except ValueError:  # a host name, or empty
        return False
