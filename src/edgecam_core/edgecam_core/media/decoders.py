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

"""Decoders from complete access units to I420, NV12 or GRAY8, one row each. A new decoder is one more row."""

from __future__ import annotations

from dataclasses import dataclass

from edgecam_core.errors import SettingError
from edgecam_core.media import gst
from edgecam_core.media.codecs import codec


@dataclass(frozen=True)
class Decoder:
    """A decoder. ``text`` is the launch text from the parsed stream to raw video in system memory."""

    element: str
    codec: str
    text: str


# thread-type=slice, because frame threads delay the output by one frame per thread.
_AVDEC = "avdec_{} name=decoder thread-type=slice ! videoconvert"
_NVV4L2 = "nvv4l2decoder name=decoder enable-max-performance=true ! nvvidconv"
_DE265 = "libde265dec name=decoder ! videoconvert"
DECODERS: tuple[Decoder, ...] = (
    Decoder("nvv4l2decoder", "h265", _NVV4L2),
    Decoder("nvh265dec", "h265", "nvh265dec name=decoder ! videoconvert"),
    Decoder("vah265dec", "h265", "vah265dec name=decoder ! videoconvert"),
    Decoder("vaapih265dec", "h265", "vaapih265dec name=decoder ! vaapipostproc ! videoconvert"),
    Decoder("avdec_h265", "h265", _AVDEC.format("h265")),
    Decoder("libde265dec", "h265", _DE265),
    Decoder("nvv4l2decoder", "h264", _NVV4L2),
    Decoder("nvh264dec", "h264", "nvh264dec name=decoder ! videoconvert"),
    Decoder("vah264dec", "h264", "vah264dec name=decoder ! videoconvert"),
    Decoder("vaapih264dec", "h264", "vaapih264dec name=decoder ! vaapipostproc ! videoconvert"),
    Decoder("avdec_h264", "h264", _AVDEC.format("h264")),
)


def choose(requested: str, codec_name: str) -> Decoder:
    """The row for the parameters ``decoder`` and ``codec``; ``auto`` selects the first that is installed.

    Raises:
        SettingError: the decoder is not in the table for this codec.
        MissingDependency: the decoder is not installed.
    """
    rows = [row for row in DECODERS if row.codec == codec_name]
    # libde265 delays its output by one frame, so auto does not select it.
    candidates = [row.element for row in rows if row.element != "libde265dec"] if requested == "auto" else [requested]
    known = [row.element for row in rows]
    if requested != "auto" and requested not in known:
        raise SettingError("decoder", requested, f"must be one of auto, {', '.join(known)} for codec {codec_name}")
    found = gst.first_element(tuple(candidates))
    return next(row for row in rows if row.element == found)


def pipeline_text(row: Decoder) -> str:
    """The receiver's launch text. A reader that is more than four frames behind gets only the newest four."""
    stream = codec(row.codec)
    return (
        "appsrc name=src is-live=true format=time max-bytes=0 max-buffers=0 "
        f"caps={stream.media_type},stream-format=byte-stream,alignment=au ! {stream.parser} ! {row.text} ! "
        "video/x-raw,format={I420,NV12,GRAY8} ! appsink name=sink sync=false async=false max-buffers=4 drop=true"
    )
