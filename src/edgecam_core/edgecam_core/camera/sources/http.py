"""``http(s)://``: an MJPEG stream, HLS (``.m3u8``) or a video file on a web server."""

from __future__ import annotations

from urllib.parse import quote

from edgecam_core.camera.plan import SourcePlan
from edgecam_core.camera.platform import Have, decode_text, out_of_decodebin
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.camera.sources.rtsp import credentials, without_credentials
from edgecam_core.camera.uri import SourceUri
from edgecam_core.errors import SettingError
from edgecam_core.media.launch_text import quoted

SCHEMES = ("http", "https")
EXAMPLE = "http://host/stream.mjpg"
_FILES = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".ts", ".m4v")


def plan(settings: CameraSettings, uri: SourceUri, have: Have) -> SourcePlan:
    """MJPEG unless the path ends like HLS or a video file.

    Raises:
        SettingError: the URI has no host.
    """
    if not uri.parts.hostname:
        raise SettingError("source", uri.shown(), f"names no host; write {EXAMPLE}")
    path = uri.parts.path.lower()
    user, password = credentials(settings, uri)
    location = without_credentials(uri)
    if path.endswith((".m3u8", *_FILES)):
        login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
        whole = location.replace("://", f"://{login}", 1)
        head = f'uridecodebin uri={quoted(whole)} caps="video/x-raw(ANY)" expose-all-streams=false'
        is_file = path.endswith(_FILES)
        decode = " ! ".join(out_of_decodebin(have))
        return SourcePlan(
            head, decode=decode, paced=not is_file or settings.realtime, loops=is_file, ends=is_file, tagged=is_file
        )
    login = f" user-id={quoted(user)} user-pw={quoted(password)}" if user else ""
    timeout = max(1, round(settings.stall_timeout))
    head = (
        f"souphttpsrc location={quoted(location)}{login} is-live=true do-timestamp=true timeout={timeout} retries=0 "
        "keep-alive=true ! multipartdemux single-stream=true ! image/jpeg"
    )
    decode, note = decode_text("jpeg", settings.decoder, have)
    return SourcePlan(head, codec="jpeg", decode=decode, notes=(note,))
