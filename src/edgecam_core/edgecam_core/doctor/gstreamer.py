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

"""GStreamer."""

from __future__ import annotations

from collections.abc import Iterator

from edgecam_core.doctor import Finding, error, note, ok, warning
from edgecam_core.errors import MissingDependency
from edgecam_core.media import elements, gst
from edgecam_core.media.encoders import ENCODERS

# Elements needed for each use; a missing element of a use in NEEDED is an error, otherwise a warning.
USES: dict[str, tuple[str, ...]] = {
    "any frame": ("appsink", "appsrc", "videoconvert", "videoscale", "videotestsrc"),
    "files": ("filesrc", "decodebin", "qtdemux", "h264parse", "h265parse"),
    "USB cameras": ("v4l2src", "jpegdec"),
    "the RTP link": ("rtph265pay", "rtph265depay", "rtph264pay", "rtph264depay", "h265parse", "avdec_h265"),
    "RTSP cameras": ("rtspsrc", "rtpjitterbuffer", "avdec_h264"),
    "WebRTC": ("webrtcbin", "nicesink", "dtlssrtpenc"),
}
NEEDED = ("any frame", "the RTP link")


def check() -> Iterator[Finding]:
    try:
        version = ".".join(map(str, gst.version()))
    except MissingDependency as problem:
        yield error(
            "gstreamer", f"{problem.what} is not installed: the camera and RTP nodes cannot run", problem.install
        )
        return
    yield ok("gstreamer", f"GStreamer {version} with its Python binding")
    for use, names in USES.items():
        yield _use(use, [name for name in names if not gst.has_element(name)])
    yield _webrtc_binding()
    for codec in ("h265", "h264"):
        yield _encoder(codec)


def _use(use: str, missing: list[str]) -> Finding:
    key = f"gstreamer-{use.replace(' ', '-')}"
    if not missing:
        return ok(key, f"elements for {use}")
    report = error if use in NEEDED else warning
    remedies = dict.fromkeys(elements.remedy(name) for name in missing)
    return report(key, f"{use} lacks {', '.join(missing)}", "; ".join(remedies))


def _webrtc_binding() -> Finding:
    try:
        for name, number in (("GstWebRTC", "1.0"), ("GstSdp", "1.0"), ("Nice", "0.1")):
            gst.library(name, number)
    except MissingDependency as problem:
        return warning("webrtc-binding", "the viewer shows frames only: no WebRTC binding", problem.install)
    return ok("webrtc-binding", "Python binding for WebRTC")


def _encoder(codec: str) -> Finding:
    available = [row.element for row in ENCODERS if row.codec == codec and gst.has_element(row.element)]
    software = {"h265": "x265enc", "h264": "x264enc"}[codec]
    key = f"encoder-{codec}"
    if not available:
        return warning(key, f"no {codec.upper()} encoder", elements.remedy(software))
    if available[0] == software:
        return note(key, f"{codec.upper()} is encoded by {software} on the CPU: no hardware encoder was found")
    return ok(key, f"{codec.upper()} is encoded by {available[0]}")
