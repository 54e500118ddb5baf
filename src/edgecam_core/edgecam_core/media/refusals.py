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

"""Streams that an installed decoder cannot take, refused by name before they reach it.

libavcodec inside GStreamer does not refuse pixel formats that GStreamer has no name for: it crashes (monochrome of more
than 8 bits in GStreamer 1.22).
"""

from __future__ import annotations

import re
from typing import Any

from edgecam_core.media.binding import library, load

_FORMAT_ERROR = 11  # GST_STREAM_ERROR_FORMAT
_DEPTH = re.compile(r"bit-depth-luma=\(uint\)(\d+)")


def unsupported(caps: str) -> str:
    """Why libavcodec's decoders must not get a stream with these caps; empty where they may."""
    match = _DEPTH.search(caps)
    if match is None or "chroma-format=(string)4:0:0" not in caps or match[1] == "8":
        return ""
    video = library("GstVideo").VideoFormat
    if video.from_string(f"GRAY{match[1]}_LE16") != video.UNKNOWN:
        return ""
    return f"{match[1]}-bit monochrome video is not supported by GStreamer's libav decoders; send 8 bits, or colour"


def watch(pipeline: Any) -> None:
    """Have every libav video decoder of the pipeline, also those added later, refuse what it cannot take."""
    pipeline.connect("deep-element-added", lambda _pipeline, _bin, element: _watch_element(element))
    pipeline.iterate_recurse().foreach(_watch_element)


def _watch_element(element: Any) -> None:
    factory = element.get_factory()
    if factory is None or not factory.get_name().startswith(("avdec_h264", "avdec_h265")):
        return
    gst = load()

    def probe(pad: Any, info: Any) -> Any:
        event = info.get_event()
        if event.type != gst.EventType.CAPS:
            return gst.PadProbeReturn.OK
        reason = unsupported(event.parse_caps().to_string())
        if not reason:
            return gst.PadProbeReturn.OK
        glib = library("GLib", "2.0")
        error = glib.Error.new_literal(glib.quark_from_string("gst-stream-error-quark"), reason, _FORMAT_ERROR)
        owner = pad.get_parent_element()
        owner.post_message(gst.Message.new_error(owner, error, ""))
        return gst.PadProbeReturn.DROP

    element.get_static_pad("sink").add_probe(gst.PadProbeType.EVENT_DOWNSTREAM, probe)
