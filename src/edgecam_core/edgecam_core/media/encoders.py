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

"""Low-latency settings of the supported encoders, one row each. A new encoder is one more row.

Every row must return one access unit per frame without delay (no B-frames, no lookahead), code every keyframe as IDR
(x265's default open GOP makes them CRA), and use no intra refresh. The parser adds the parameter sets before every
keyframe (``config-interval=-1``).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from edgecam_core.errors import SettingError
from edgecam_core.media import gst
from edgecam_core.media.codecs import Codec, codec


@dataclass(frozen=True)
class EncoderRequest:
    """Encoder settings: ``bitrate`` in bit/s, ``keyframe_interval`` in frames, ``options`` as launch text.

    ``buffer_ms`` limits the size of one frame, in milliseconds of the bitrate. ``width``, ``height`` and ``framerate``
    are 0 if unknown.
    """

    bitrate: int
    keyframe_interval: int
    options: str = ""
    buffer_ms: int = 500
    width: int = 0
    height: int = 0
    framerate: float = 0.0


@dataclass(frozen=True)
class Encoder:
    """An encoder. ``text`` returns the launch text from I420 to the coded stream.

    ``live_bitrate`` is the property for the bitrate and its unit in bit/s, if the bitrate can change while running.
    ``x265enc`` has none: it accepts a new bitrate, but starts over, with a keyframe and the old limit of frame sizes.
    """

    element: str
    codec: str
    text: Callable[[EncoderRequest], str]
    live_bitrate: tuple[str, int] | None = None


# Limits of level 4.1, Main tier (H.265, tables A.8 and A.9). At higher levels, the standard forbids 16x16 coding tree
# units and x265 refuses them.
_LEVEL_41_SAMPLES, _LEVEL_41_RATE, _LEVEL_41_BITRATE = 2_228_224, 133_693_440, 20_000_000
_LEVEL_41_SIDE = 4222
_MAX_THREADS = 8


def _within_level_41(r: EncoderRequest) -> bool:
    samples = r.width * r.height
    return (
        0 < samples <= _LEVEL_41_SAMPLES
        and max(r.width, r.height) <= _LEVEL_41_SIDE
        and samples * r.framerate <= _LEVEL_41_RATE
        and r.bitrate * max(1.0, r.buffer_ms / 1000) <= _LEVEL_41_BITRATE
    )


def _x265(r: EncoderRequest) -> str:
    rate = max(1, r.bitrate // 1000)
    # Compared with the preset (32x32 units, rd=2, no sub-pixel motion) on two cores at the same bitrate: a third less
    # CPU time and 3.7 dB more PSNR at 640x480 with moving cameras, a quarter less and 0.6 dB more with noise, 8 % less
    # and 0.2 dB more at 1080p.
    unit = 16 if _within_level_41(r) else 32
    # Without a limit, x265 starts a thread for every core of the machine, even if the process may use only some.
    threads = min(len(os.sched_getaffinity(0)), _MAX_THREADS)
    # A VBV limit prevents keyframes from becoming bursts that network queues drop.
    options = (
        f"open-gop=0:scenecut=0:info=0:ctu={unit}:min-cu-size=16:max-tu-size={unit}:rd=1:subme=1:pools={threads}:"
        f"vbv-maxrate={rate}:vbv-bufsize={max(1, rate * r.buffer_ms // 1000)}"
    )
    return (
        f"x265enc name=encoder tune=zerolatency speed-preset=ultrafast bitrate={rate} "
        f"key-int-max={r.keyframe_interval} option-string={options} {r.options}"
    )


def _x264(r: EncoderRequest) -> str:
    return (
        f"x264enc name=encoder tune=zerolatency speed-preset=ultrafast bitrate={max(1, r.bitrate // 1000)} "
        f"key-int-max={r.keyframe_interval} vbv-buf-capacity={r.buffer_ms} bframes=0 "
        f"option-string=scenecut=0:open-gop=0 {r.options}"
    )


def _nvv4l2(kind: str) -> Callable[[EncoderRequest], str]:
    def text(r: EncoderRequest) -> str:
        return (
            "nvvidconv ! video/x-raw(memory:NVMM),format=NV12 ! "
            f"nvv4l2{kind}enc name=encoder bitrate={r.bitrate} iframeinterval={r.keyframe_interval} "
            f"idrinterval={r.keyframe_interval} control-rate=1 preset-level=1 maxperf-enable=true "
            f"num-B-Frames=0 insert-sps-pps=true insert-vui=true {r.options}"
        )

    return text


def _nvenc(kind: str) -> Callable[[EncoderRequest], str]:
    def text(r: EncoderRequest) -> str:
        return (
            f"videoconvert ! video/x-raw,format=NV12 ! nv{kind}enc name=encoder preset=low-latency-hq zerolatency=true "
            f"rc-mode=cbr bitrate={max(1, r.bitrate // 1000)} gop-size={r.keyframe_interval} {r.options}"
        )

    return text


def _va(kind: str) -> Callable[[EncoderRequest], str]:
    def text(r: EncoderRequest) -> str:
        return (
            f"videoconvert ! video/x-raw,format=NV12 ! va{kind}enc name=encoder rate-control=cbr b-frames=0 "
            f"bitrate={max(1, r.bitrate // 1000)} key-int-max={r.keyframe_interval} target-usage=7 {r.options}"
        )

    return text


def _vaapi(kind: str) -> Callable[[EncoderRequest], str]:
    def text(r: EncoderRequest) -> str:
        return (
            f"videoconvert ! video/x-raw,format=NV12 ! vaapi{kind}enc name=encoder rate-control=cbr max-bframes=0 "
            f"bitrate={max(1, r.bitrate // 1000)} keyframe-period={r.keyframe_interval} {r.options}"
        )

    return text


def _omx(kind: str) -> Callable[[EncoderRequest], str]:
    def text(r: EncoderRequest) -> str:
        return (
            f"nvvidconv ! video/x-raw(memory:NVMM),format=NV12 ! omx{kind}enc name=encoder control-rate=2 "
            f"bitrate={r.bitrate} iframeinterval={r.keyframe_interval} insert-sps-pps=true {r.options}"
        )

    return text


# In order of preference: hardware (Jetson, NVIDIA GPU, Intel and AMD GPU) before the CPU.
ENCODERS: tuple[Encoder, ...] = (
    Encoder("nvv4l2h265enc", "h265", _nvv4l2("h265"), ("bitrate", 1)),
    Encoder("nvh265enc", "h265", _nvenc("h265"), ("bitrate", 1000)),
    Encoder("vah265enc", "h265", _va("h265"), ("bitrate", 1000)),
    Encoder("vaapih265enc", "h265", _vaapi("h265"), ("bitrate", 1000)),
    Encoder("omxh265enc", "h265", _omx("h265"), ("bitrate", 1)),
    Encoder("x265enc", "h265", _x265),
    Encoder("nvv4l2h264enc", "h264", _nvv4l2("h264"), ("bitrate", 1)),
    Encoder("nvh264enc", "h264", _nvenc("h264"), ("bitrate", 1000)),
    Encoder("vah264enc", "h264", _va("h264"), ("bitrate", 1000)),
    Encoder("vaapih264enc", "h264", _vaapi("h264"), ("bitrate", 1000)),
    Encoder("omxh264enc", "h264", _omx("h264"), ("bitrate", 1)),
    Encoder("x264enc", "h264", _x264, ("bitrate", 1000)),
)


def choose(requested: str, codec_name: str) -> Encoder:
    """The row for the parameters ``encoder`` and ``codec``; ``auto`` selects the first that is installed.

    Raises:
        SettingError: the encoder is not in the table for this codec.
        MissingDependency: the encoder is not installed.
    """
    rows = [row for row in ENCODERS if row.codec == codec_name]
    if requested == "auto":
        found = gst.first_element(tuple(row.element for row in rows))
        return next(row for row in rows if row.element == found)
    for row in rows:
        if row.element == requested:
            gst.first_element((requested,))
            return row
    names = ", ".join(["auto", *(row.element for row in rows)])
    raise SettingError("encoder", requested, f"must be one of {names} for codec {codec_name}")


def output_text(stream: Codec) -> str:
    """Launch text from a coded stream to complete access units in an appsink named ``sink``."""
    return (
        f"{stream.parser} config-interval=-1 ! {stream.media_type},stream-format=byte-stream,alignment=au ! "
        "appsink name=sink sync=false async=false max-buffers=64 drop=false"
    )


def raw_caps(width: int, height: int, framerate: float) -> str:
    """Caps of the frames pushed. They state the colour space, because players assume BT.709 for large frames."""
    return (
        f"video/x-raw,format=I420,width={width},height={height},framerate={_fraction(framerate)},"
        "colorimetry=bt601,interlace-mode=progressive"
    )


def _fraction(framerate: float) -> str:
    whole = round(framerate)
    return f"{whole}/1" if abs(framerate - whole) < 1e-6 else f"{round(framerate * 1001)}/1001"


def pipeline_text(row: Encoder, request: EncoderRequest, width: int, height: int, framerate: float) -> str:
    """The sender's launch text. The appsrc queues two frames and drops the older one if the encoder is too slow.

    It queues two, because a keyframe takes several times as long to encode as other frames and must not drop one.
    """
    sized = replace(request, width=width, height=height, framerate=framerate)
    return (
        "appsrc name=src is-live=true format=time max-buffers=2 max-bytes=0 max-time=0 leaky-type=downstream "
        f'caps="{raw_caps(width, height, framerate)}" ! {row.text(sized)} ! {output_text(codec(row.codec))}'
    )
