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

"""The package or platform that provides each GStreamer element, for errors that name what to install."""

from __future__ import annotations

_PACKAGES: dict[str, tuple[str, ...]] = {
    "gstreamer1.0-plugins-base": (
        "appsink", "appsrc", "audiotestsrc", "decodebin", "decodebin3", "playbin", "theoradec", "uridecodebin",
        "uridecodebin3", "videoconvert", "videoconvertscale", "videorate", "videoscale", "videotestsrc",
    ),
    "gstreamer1.0-plugins-good": (
        "agingtv", "imagefreeze", "jpegdec", "jpegenc", "matroskademux", "matroskamux", "mp4mux", "multifilesink",
        "multifilesrc", "multipartdemux", "multipartmux", "pngdec", "pngenc", "qtdemux", "qtmux", "rtph264depay",
        "rtph264pay", "rtph265depay", "rtph265pay", "rtpbin", "rtphdrextntp64", "rtpjitterbuffer", "rtpjpegdepay",
        "rtpjpegpay", "rtpsession", "rtspsrc", "souphttpsrc", "splitmuxsink", "udpsink", "udpsrc", "v4l2h264enc",
        "v4l2h265enc", "v4l2sink", "v4l2src", "videobox", "videocrop", "videoflip",
    ),
    "gstreamer1.0-plugins-bad": (
        "bayer2rgb", "h264parse", "h265parse", "hlsdemux", "jpegparse", "libde265dec", "netsim", "srtpdec",
        "srtpenc", "dtlssrtpenc", "watchdog", "webrtcbin", "x265enc",
    ),
    "gstreamer1.0-plugins-ugly": ("x264enc",),
    "gstreamer1.0-libav": ("avdec_h264", "avdec_h265", "avdec_mjpeg"),
    "gstreamer1.0-x": ("ximagesink", "xvimagesink"),
    "gstreamer1.0-gl": ("glimagesink",),
    "gstreamer1.0-nice": ("nicesink", "nicesrc"),
    "gstreamer1.0-rtsp": ("rtspclientsink",),
    "gstreamer1.0-vaapi": ("vaapih264enc", "vaapih265enc", "vaapih265dec", "vaapipostproc"),
}  # fmt: skip
JETPACK = "is part of JetPack on a Jetson (package nvidia-l4t-gstreamer)"
_PLATFORMS: tuple[tuple[str, str], ...] = (
    ("nvv4l2", JETPACK),
    ("nvvid", JETPACK),
    ("nvarg", JETPACK),
    ("nvegl", JETPACK),
    ("nv3d", JETPACK),
    ("nvcompositor", JETPACK),
    ("nvdrm", JETPACK),
    ("omx", "was part of JetPack 4 on a Jetson; use nvv4l2h265enc there, x265enc elsewhere"),
    ("nv", "is in gstreamer1.0-plugins-bad and is listed only with an NVIDIA driver"),
    ("cuda", "is in gstreamer1.0-plugins-bad and is listed only with an NVIDIA driver"),
    ("va", "is in gstreamer1.0-plugins-bad and is listed only with a VA-API driver (check with vainfo)"),
)
_TYPELIBS = {
    "GstWebRTC": "gir1.2-gst-plugins-bad-1.0",
    "Nice": "gir1.2-nice-0.1",
    "GstRtspServer": "gir1.2-gst-rtsp-server-1.0",
}
_BY_ELEMENT = {element: package for package, elements in _PACKAGES.items() for element in elements}


def package(element: str) -> str:
    """The Debian and Ubuntu package of an element; ``""`` if it is not in this table."""
    return _BY_ELEMENT.get(element, "")


def typelib_remedy(name: str) -> str:
    """The command that installs a typelib."""
    return f"sudo apt-get install {_TYPELIBS.get(name, 'gir1.2-gst-plugins-base-1.0')}"


def remedy(element: str) -> str:
    """How to get an element: an apt command, or the platform that provides it."""
    if package := _BY_ELEMENT.get(element):
        return f"sudo apt-get install {package}"
    for prefix, where in _PLATFORMS:
        if element.startswith(prefix):
            return where
    return f"`apt-cache search gstreamer1.0` may find it; `gst-inspect-1.0 {element}` checks it"
