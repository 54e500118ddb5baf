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

"""Selects the best GStreamer element for a task from ranked tables, with the reason for the log.

``have`` reports whether an element is available, so that the selection for any platform can be tested on any machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgecam_core.errors import MissingDependency, SettingError
from edgecam_core.media import elements

Have = Callable[[str], bool]
"""Whether a GStreamer element is available."""


@dataclass(frozen=True)
class ElementChoice:
    """The selected ``element``, and a ``note`` for the log: ``decoder: auto → avdec_h265, because …``."""

    element: str
    note: str


# Best first. The last element of each table works on any machine.
DECODERS: dict[str, tuple[tuple[str, str], ...]] = {
    "h264": (
        ("nvv4l2decoder", "Jetson's decoder"), ("nvh264dec", "NVIDIA's decoder"), ("vah264dec", "VA-API"),
        ("vaapih264dec", "VA-API (old plugin)"), ("v4l2h264dec", "the V4L2 decoder"), ("avdec_h264", "the CPU"),
    ),
    "h265": (
        ("nvv4l2decoder", "Jetson's decoder"), ("nvh265dec", "NVIDIA's decoder"), ("vah265dec", "VA-API"),
        ("vaapih265dec", "VA-API (old plugin)"), ("v4l2h265dec", "the V4L2 decoder"), ("avdec_h265", "the CPU"),
    ),
    "jpeg": (
        ("nvv4l2decoder", "Jetson's decoder"), ("nvjpegdec", "NVIDIA's decoder"), ("vajpegdec", "VA-API"),
        ("jpegdec", "the CPU"),
    ),
}  # fmt: skip
# Elements that copy a decoder's output from device memory to system memory.
_TO_MEMORY = {
    "nvv4l2decoder": "nvvidconv ! video/x-raw,format=I420",
    "nvh264dec": "cudadownload", "nvh265dec": "cudadownload", "nvjpegdec": "cudadownload",
    "vah264dec": "vapostproc ! video/x-raw,format=NV12", "vah265dec": "vapostproc ! video/x-raw,format=NV12",
    "vajpegdec": "vapostproc ! video/x-raw,format=NV12",
    "vaapih264dec": "vaapipostproc ! video/x-raw,format=NV12",
    "vaapih265dec": "vaapipostproc ! video/x-raw,format=NV12",
}  # fmt: skip
_EXTRA = {("nvv4l2decoder", "jpeg"): " mjpeg=1", ("avdec_h264", "h264"): " thread-type=slice",
          ("avdec_h265", "h265"): " thread-type=slice"}  # fmt: skip
SINKS: tuple[tuple[str, str], ...] = (
    ("nv3dsink", "Jetson"), ("nveglglessink", "Jetson, EGL"), ("glimagesink", "OpenGL"), ("waylandsink", "Wayland"),
    ("xvimagesink", "X11, scaled by the GPU"), ("ximagesink", "X11"),
)  # fmt: skip
# videoflip's video-direction. Its property "method" has no effect in GStreamer 1.22 when set in launch text.
VIDEO_DIRECTIONS = {
    "none": "identity", "clockwise": "90r", "rotate-180": "180", "counterclockwise": "90l", "horizontal-flip": "horiz",
    "vertical-flip": "vert", "upper-left-diagonal": "ul-lr", "upper-right-diagonal": "ur-ll",
}  # fmt: skip
# nvvidconv's flip-method numbers.
NVVIDCONV_FLIPS = {
    "none": 0, "counterclockwise": 1, "rotate-180": 2, "clockwise": 3, "horizontal-flip": 4, "upper-right-diagonal": 5,
    "vertical-flip": 6, "upper-left-diagonal": 7,
}  # fmt: skip


def choose(job: str, requested: str, ranked: tuple[tuple[str, str], ...], have: Have) -> ElementChoice:
    """The best available element of a table, or the one set by the user.

    ``requested`` is ``auto`` or an element; ``ranked`` holds elements and their descriptions, best first.

    Raises:
        SettingError: the requested element is not in the table.
        MissingDependency: the requested element is not installed, or none of the table is.
    """
    names = [name for name, _description in ranked]
    if requested != "auto":
        if requested not in names:
            raise SettingError(job, requested, f"cannot be used for this; use auto or one of {', '.join(names)}")
        if not have(requested):
            raise MissingDependency(f"{job} '{requested}'", elements.remedy(requested))
        return ElementChoice(requested, f"{job}: {requested}, as set")
    for index, (name, description) in enumerate(ranked):
        if have(name):
            missing = f"; not installed: {', '.join(names[:index])}" if index else ""
            return ElementChoice(name, f"{job}: auto → {name}, because {description} is the best available{missing}")
    raise MissingDependency(f"{job} {' or '.join(names)}", elements.remedy(names[-1]))


def decode_text(codec: str, requested: str, have: Have) -> tuple[str, str]:
    """Launch text that decodes parsed ``codec`` to raw video in system memory, and the note for the log.

    Raises:
        SettingError, MissingDependency: as :func:`choose`.
    """
    chosen = choose("decoder", requested, DECODERS[codec], have)
    # The stream's parameter sets are in its caps; the second parser converts it to the decoder's stream format.
    parser = f"{codec}parse ! " if codec in ("h264", "h265") else ""
    return parser + _into_memory(chosen.element, _EXTRA.get((chosen.element, codec), "")), chosen.note


def decode_anything(requested: str, have: Have) -> str:
    """Launch text that decodes parsed video of an unknown codec to raw video in system memory.

    Raises:
        MissingDependency: the requested decoder is not installed.
    """
    if requested == "auto":
        return " ! ".join(["decodebin", *after_decodebin(have)])
    if not have(requested):
        raise MissingDependency(f"decoder '{requested}'", elements.remedy(requested))
    return _into_memory(requested)


def after_decodebin(have: Have) -> list[str]:
    """Elements to place after ``decodebin`` and ``uridecodebin``, because a Jetson's decoder outputs NVMM memory."""
    return [_TO_MEMORY["nvv4l2decoder"]] if have("nvvidconv") else []


def _into_memory(element: str, properties: str = "") -> str:
    after = _TO_MEMORY.get(element)
    return f"{element}{properties} ! {after}" if after else f"{element}{properties}"
