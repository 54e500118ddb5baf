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

"""``http(s)://``: an MJPEG stream, a still image, HLS or a video file on a web server.

The server's Content-Type and the first bytes decide which it is; the address alone gives only a first guess.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from edgecam_core.camera.plan import Feeder, SourcePlan
from edgecam_core.camera.platform import Have, after_decodebin, decode_text
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.camera.sources.rtsp import credentials, without_credentials
from edgecam_core.camera.uri import Login, SourceUri
from edgecam_core.counters import Counters
from edgecam_core.errors import SettingError, SourceError
from edgecam_core.masking import masked
from edgecam_core.media.launch_text import quoted
from edgecam_core.media.pipeline import Pipeline

if TYPE_CHECKING:
    from edgecam_core.camera.http_client import Response

SCHEMES = ("http", "https")
EXAMPLE = "http://host/stream.mjpg"
_HEAD = "appsrc name=feed is-live=true format=time do-timestamp=true block=true caps=image/jpeg"
_FILES = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".ts", ".m4v")
_ENOUGH = 512
"""Bytes needed to recognise a format."""


def plan(settings: CameraSettings, uri: SourceUri, have: Have) -> SourcePlan:
    """A first guess by the address alone: MJPEG, unless the path ends like HLS or a video file.

    Raises:
        SettingError: the URI has no host.
    """
    if not uri.parts.hostname:
        raise SettingError("source", uri.masked(), f"names no host; write {EXAMPLE}")
    path = uri.parts.path.lower()
    location = without_credentials(uri)
    login = Login(*credentials(settings, uri))
    if path.endswith((".m3u8", *_FILES)):
        return _video(location, login, path.endswith(_FILES), settings, have)
    user = f" user-id={quoted(login.user)} user-pw={quoted(login.password)}" if login.user else ""
    timeout = max(1, round(settings.stall_timeout))
    head = (
        f"souphttpsrc location={quoted(location)}{user} is-live=true do-timestamp=true timeout={timeout} retries=0 "
        "keep-alive=true ! multipartdemux single-stream=true ! image/jpeg"
    )
    decode, note = decode_text("jpeg", settings.decoder, have)
    return SourcePlan(head, codec="jpeg", decode=decode, notes=(note,))


def resolve(settings: CameraSettings, uri: SourceUri, have: Have) -> SourcePlan:
    """The plan for what the address serves. Sends a request and blocks until the response arrives.

    Raises:
        SourceError: the server cannot be reached, refuses the request, or serves no video.
    """
    from edgecam_core.camera.http_client import get  # http and ssl: only for those who use them

    login = Login(*credentials(settings, uri))
    response = get(without_credentials(uri), login, _timeout(settings))
    try:
        begin = b""
        while len(begin) < _ENOUGH and (data := response.read()):
            begin += data
        return _by_content(response, begin, login, settings, have)
    finally:
        response.close()


def _timeout(settings: CameraSettings) -> float:
    return min(max(settings.stall_timeout, 1.0), 10.0) if settings.stall_timeout else 10.0


def _by_content(response: Response, begin: bytes, login: Login, settings: CameraSettings, have: Have) -> SourcePlan:
    kind = response.content_type
    if begin.lstrip().startswith(b"#EXTM3U") or kind.endswith("mpegurl"):
        return _video(response.url, login, False, settings, have)
    is_stream = kind.startswith("multipart/") or "motion-jpeg" in kind or begin.lstrip().startswith(b"--")
    if is_stream or begin.startswith(b"\xff\xd8"):
        polled = not is_stream and (response.length is not None or kind.startswith("image/"))
        return _jpeg(response.url, login, polled, settings, have)
    if not begin:
        raise SourceError(f"the response of {masked(response.url)} is empty")
    if kind.startswith("image/"):
        raise SourceError(f"{masked(response.url)} is {kind}; only JPEG still images can be polled")
    if kind in ("text/html", "application/json", "text/xml", "application/xml"):
        what = "a web page" if kind == "text/html" else kind
        raise SourceError(
            f"{masked(response.url)} is {what}, not video; see the camera's manual for the address of its stream"
        )
    return _video(response.url, login, response.length is not None, settings, have)


def _video(location: str, login: Login, is_file: bool, settings: CameraSettings, have: Have) -> SourcePlan:
    user = f"{quote(login.user, safe='')}:{quote(login.password, safe='')}@" if login.user else ""
    whole = location.replace("://", f"://{user}", 1)
    head = f'uridecodebin uri={quoted(whole)} caps="video/x-raw(ANY)" expose-all-streams=false'
    paced = not is_file or settings.realtime
    decode = " ! ".join(after_decodebin(have))
    return SourcePlan(head, decode=decode, paced=paced, loops=is_file, ends=is_file, tagged=is_file)


def _jpeg(location: str, login: Login, polled: bool, settings: CameraSettings, have: Have) -> SourcePlan:
    decode, note = decode_text("jpeg", settings.decoder, have)
    what = "http: one image, polled" if polled else "http: an MJPEG stream"

    def feed(pipeline: Pipeline, now: CameraSettings, _counters: Counters) -> Feeder:
        from edgecam_core.camera.http_feeder import JpegFeeder

        return JpegFeeder(pipeline, location, login, polled, now.framerate, _timeout(now))

    return SourcePlan(_HEAD, codec="jpeg", decode=decode, feeder=feed, notes=(what, note))
