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

"""Refuses streams that a decoder handles incorrectly, and completes caps that later elements would misread.

GStreamer's libav decoders do not refuse pixel formats that GStreamer has no name for: with direct rendering they crash
(GStreamer 1.22). Other decoders output wrong colours.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from edgecam_core.media.binding import library, load

_FORMAT_ERROR = 11  # GST_STREAM_ERROR_FORMAT
_DEPTH = re.compile(r"bit-depth-luma=\(uint\)(\d+)")
_COLORIMETRY = re.compile(r"colorimetry=\(string\)(\d+:\d+):")
_HEIGHT = re.compile(r"height=\(int\)(\d+)")


class Refusal(NamedTuple):
    """A rule for decoders whose name begins with ``element``.

    ``reason`` returns why the decoder must not receive (``pad`` sink) or deliver (src) a stream with these caps; ``""``
    if it may.
    """

    element: str
    pad: str
    reason: Callable[[str], str]


def monochrome(caps: str) -> str:
    """Refuse monochrome H.264 and H.265 of more than 8 bits if GStreamer has no name for it (before 1.26)."""
    match = _DEPTH.search(caps)
    if match is None or "chroma-format=(string)4:0:0" not in caps or match[1] == "8":
        return ""
    video = library("GstVideo").VideoFormat
    if video.from_string(f"GRAY{match[1]}_LE16") != video.UNKNOWN:
        return ""
    return f"{match[1]}-bit monochrome video is not supported by GStreamer's libav decoders; encode 8 bits, or colour"


def _rgb_av1(caps: str) -> str:
    """av1dec outputs the planes of RGB (matrix 1 of GstVideoColorMatrix) as Y, U and V."""
    match = _COLORIMETRY.search(caps)
    if "colorimetry=(string)sRGB" not in caps and (match is None or not match[1].endswith(":1")):
        return ""
    return "AV1 video in RGB is not supported by av1dec; encode it as YUV, e.g. ffmpeg -pix_fmt yuv444p"


def _deep_png(caps: str) -> str:
    if "format=(string)ARGB64" not in caps:
        return ""
    return "16-bit PNG video is not supported by pngdec; encode it with 8 bits, e.g. ffmpeg -pix_fmt rgb24"


def _upright_chroma(caps: str) -> str:
    if "chroma-format=(string)4:4:0" not in caps:
        return ""
    return "VP9 video with 4:4:0 chroma is not supported by vp9dec; encode it as 4:2:0, e.g. ffmpeg -pix_fmt yuv420p"


def _palette(_caps: str) -> str:
    return "QuickTime Graphics (smc) is not supported by avdec_smc; encode it as H.264, e.g. ffmpeg -c:v libx264"


REFUSALS = (
    Refusal("avdec_h264", "sink", monochrome),
    Refusal("avdec_h265", "sink", monochrome),
    Refusal("av1dec", "sink", _rgb_av1),
    Refusal("vp9dec", "sink", _upright_chroma),
    Refusal("pngdec", "src", _deep_png),
    Refusal("avdec_smc", "sink", _palette),
)
RANKS = {"vp8alphadecodebin": 0, "vp9alphadecodebin": 0, "openjpegdec": 1}
"""Ranks of decoders that decodebin should avoid: alpha is not published, and the alpha decoders of GStreamer 1.22 fail
in decodebin; openjpegdec outputs YUV as RGB."""
# These decode only 8-bit YUV and formats that REFUSALS checks, so they keep direct rendering, which is faster.
_SAFE_LIBAV = ("avdec_h264", "avdec_h265", "avdec_mjpeg", "avdec_mpeg2video", "avdec_mpeg4")


def unnamed_format(pipeline: Any) -> str:
    """An error text that names the libav decoder with input but no output format; ``""`` if there is none.

    After a failed negotiation, this is the decoder whose pixel format GStreamer has no name for.
    """
    found = ""

    def look(element: Any) -> None:
        nonlocal found
        name = _name(element)
        if not name.startswith("avdec_") or found:
            return
        sink, src = element.get_static_pad("sink"), element.get_static_pad("src")
        if sink and src and sink.get_current_caps() and not src.get_current_caps():
            found = f"{name} decodes to a pixel format that GStreamer has no name for; convert it, e.g. to yuv420p"

    pipeline.iterate_recurse().foreach(look)
    return found


def watch(pipeline: Any) -> None:
    """Apply the rules of this module to every decoder of the pipeline, including those added later."""
    _apply_ranks()
    pipeline.connect("deep-element-added", lambda _pipeline, _bin, element: _watch_element(element))
    pipeline.iterate_recurse().foreach(_watch_element)


@functools.cache
def _apply_ranks() -> None:
    for name, rank in RANKS.items():
        if feature := load().Registry.get().lookup_feature(name):
            feature.set_rank(rank)


def _name(element: Any) -> str:
    factory = element.get_factory()
    return str(factory.get_name()) if factory else ""


def _watch_element(element: Any) -> None:
    name = _name(element)
    factory = element.get_factory()
    kinds = set(factory.get_metadata("klass").split("/")) if factory else set()
    if "Decoder" not in kinds or not kinds & {"Video", "Image"}:
        return
    if name.startswith("avdec_") and name not in _SAFE_LIBAV:
        element.set_property("direct-rendering", False)
    for row in REFUSALS:
        if name.startswith(row.element):
            _on_caps(element, row.pad, _refuse(row.reason))
    _on_caps(element, "src", _describe)


def _on_caps(element: Any, pad: str, act: Callable[[Any, Any], bool]) -> None:
    """Call ``act`` with the pad and the caps of each caps event; the event is dropped if it returns False."""
    gst = load()
    found = element.get_static_pad(pad)
    if found is None:
        return

    def probe(pad: Any, info: Any) -> Any:
        event = info.get_event()
        keep = event.type != gst.EventType.CAPS or act(pad, event.parse_caps())
        return gst.PadProbeReturn.OK if keep else gst.PadProbeReturn.DROP

    found.add_probe(gst.PadProbeType.EVENT_DOWNSTREAM, probe)


def _refuse(reason_of: Callable[[str], str]) -> Callable[[Any, Any], bool]:
    def act(pad: Any, caps: Any) -> bool:
        reason = reason_of(caps.to_string())
        if not reason:
            return True
        gst, glib = load(), library("GLib", "2.0")
        error = glib.Error.new_literal(glib.quark_from_string("gst-stream-error-quark"), reason, _FORMAT_ERROR)
        owner = pad.get_parent_element()
        owner.post_message(gst.Message.new_error(owner, error, ""))
        return False

    return act


def complete_colorimetry(caps: str) -> str:
    """The caps with GStreamer's default matrix if a stream states full range (1) but no matrix (0).

    videoconvert ignores the range while the matrix is unknown.
    """
    match = _COLORIMETRY.search(caps)
    if match is None or match[1] != "1:0" or "GRAY" in caps:
        return caps
    height = _HEIGHT.search(caps)
    matrix = 3 if height and int(height[1]) > 576 else 4  # BT.709, BT.601
    return f"{caps[: match.start(1)]}1:{matrix}{caps[match.end(1) :]}"


def _describe(pad: Any, caps: Any) -> bool:
    text = caps.to_string()
    complete = complete_colorimetry(text)
    if complete == text:
        return True
    gst = load()
    pad.push_event(gst.Event.new_caps(gst.Caps.from_string(complete)))
    return False
