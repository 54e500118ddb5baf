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

"""``v4l2:///dev/video0``: a USB or other Video4Linux camera."""

from __future__ import annotations

from edgecam_core.camera.plan import SourcePlan
from edgecam_core.camera.platform import Have, decode_text
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.camera.uri import SourceUri
from edgecam_core.errors import SettingError
from edgecam_core.media.launch_text import quoted

SCHEMES = ("v4l2",)
EXAMPLE = "v4l2:///dev/video0"
_MEDIA = {
    "auto": "", "raw": "video/x-raw", "yuyv": "video/x-raw,format=YUY2", "uyvy": "video/x-raw,format=UYVY",
    "nv12": "video/x-raw,format=NV12", "grey": "video/x-raw,format=GRAY8", "mjpeg": "image/jpeg",
    "bayer": "video/x-bayer", "h264": "video/x-h264", "h265": "video/x-h265",
}  # fmt: skip


def device(uri: SourceUri) -> str:
    """The device file; ``v4l2:///dev/video0``, ``v4l2://0`` and ``v4l2://video0`` are equivalent."""
    path = uri.path
    if path.isdecimal():
        return f"/dev/video{path}"
    return path if path.startswith("/") else f"/dev/{path}"


def plan(settings: CameraSettings, uri: SourceUri, have: Have) -> SourcePlan:
    """The plan for the device; size and rate are requested from the device.

    Raises:
        SettingError: the URI names no device.
    """
    if not uri.path.strip("/"):
        raise SettingError("source", uri.text, "names no device; write v4l2:///dev/video0")
    codec = _codec(settings)
    media = _MEDIA[settings.pixel_format] or ("image/jpeg" if codec == "jpeg" else "video/x-raw")
    head = f"v4l2src device={quoted(device(uri))} ! {media}{settings.source_caps()}"
    coded = codec in ("h264", "h265")
    if coded:
        stream_format = "avc" if codec == "h264" else "hvc1"
        head += f" ! {codec}parse ! {media},stream-format={stream_format},alignment=au"
    decode, note = decode_text(codec, settings.decoder, have) if coded or codec == "jpeg" else ("", "")
    hint = (
        f"`v4l2-ctl --list-devices` lists the cameras, `v4l2-ctl -d {device(uri)} --list-formats-ext` lists its modes"
    )
    notes = (note,) if note else ()
    return SourcePlan(head, codec=codec, decode=decode, has_coded=coded, sized_by_device=True, hint=hint, notes=notes)


def _codec(settings: CameraSettings) -> str:
    if settings.pixel_format in ("h264", "h265"):
        return settings.pixel_format
    if settings.pixel_format == "mjpeg":
        return "jpeg"
    if settings.pixel_format == "bayer" or settings.image_encoding.startswith("bayer"):
        return "bayer"
    # USB 2 carries raw 1280x720 at 10 Hz only, so larger frames are requested as JPEG unless raw is set.
    large = settings.image_width * settings.image_height > 640 * 480 or settings.framerate > 30
    return "jpeg" if settings.pixel_format == "auto" and large else "raw"
