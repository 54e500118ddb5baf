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

"""``rtsp://[user:password@]host[:port]/path``: a network camera."""

from __future__ import annotations

from urllib.parse import unquote

from edgecam_core.camera.plan import SourcePlan
from edgecam_core.camera.platform import Have, decode_anything
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.camera.uri import SourceUri
from edgecam_core.errors import SettingError
from edgecam_core.media.launch_text import quoted

SCHEMES = ("rtsp", "rtsps")
EXAMPLE = "rtsp://user:password@host/path"
_PROTOCOLS = {"auto": "tcp+udp-mcast+udp", "udp": "udp-mcast+udp", "tcp": "tcp"}


def credentials(settings: CameraSettings, uri: SourceUri) -> tuple[str, str]:
    """User and password from the URI, else from the settings."""
    parts = uri.parts
    if parts.username is not None:
        return unquote(parts.username), unquote(parts.password or "")
    return settings.rtsp_user, settings.rtsp_password


def without_credentials(uri: SourceUri) -> str:
    return uri.parts._replace(netloc=uri.parts.netloc.rpartition("@")[2]).geturl()


def plan(settings: CameraSettings, uri: SourceUri, have: Have) -> SourcePlan:
    """The plan for the codec that the server describes; the coded stream is available for recording.

    Raises:
        SettingError: the URI has no host.
        MissingDependency: the requested decoder is not installed.
    """
    if not uri.parts.hostname:
        raise SettingError("source", uri.masked(), f"names no host; write {EXAMPLE}")
    user, password = credentials(settings, uri)
    login = f" user-id={quoted(user)} user-pw={quoted(password)}" if user else ""
    head = (
        f"rtspsrc location={quoted(without_credentials(uri))}{login} protocols={_PROTOCOLS[settings.rtsp_transport]} "
        f"latency={settings.latency} buffer-mode=none tcp-timeout=5000000 ! application/x-rtp,media=video ! parsebin"
    )
    return SourcePlan(head, codec="any", decode=decode_anything(settings.decoder, have), has_coded=True, remote=True)
