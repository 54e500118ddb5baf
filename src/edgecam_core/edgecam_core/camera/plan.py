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

"""Builds the launch text of the capture pipeline from a source's plan and the settings. Pure functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edgecam_core.camera.platform import NVVIDCONV_FLIPS, VIDEO_DIRECTIONS, ElementChoice, Have, choose
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.counters import Counters
from edgecam_core.errors import EdgecamError, SettingError
from edgecam_core.media.encodings import ENCODINGS
from edgecam_core.media.pipeline import Pipeline

UPRIGHT = "upright"
"""The element that rotates frames by the container's orientation tag."""
_CONVERTIBLE = ("bgr8", "rgb8", "mono8")
# Formats that colour.py converts to BGR, RGB or grey, faster than videoconvert.
NATIVE_FORMATS = "{ I420, NV12, YUY2, UYVY, BGR, RGB, BGRx, RGBx, BGRA, RGBA, GRAY8 }"
_BAYER = {"bayer_rggb8": "rggb", "bayer_bggr8": "bggr", "bayer_gbrg8": "gbrg", "bayer_grbg8": "grbg"}


class Feeder(Protocol):
    """Pushes frames into a pipeline in a separate thread. ``error`` is the error that ended the thread, or None."""

    error: EdgecamError | None

    @property
    def can_step(self) -> bool:
        """Whether the feeder waits for :meth:`step` before each frame."""

    def step(self) -> None:
        """Release the next frame."""

    def stop(self) -> None:
        """Call after stopping the pipeline."""


@dataclass(frozen=True)
class SourcePlan:
    """How to read one source.

    Attributes:
        head: launch text that outputs ``codec``.
        codec: raw (video/x-raw), bayer, jpeg, h264, h265, nvmm or any (unknown until it plays).
        decode: launch text that converts ``codec`` to raw.
        has_coded: the coded stream is available for recording.
        paced: frames are released at their own rate.
        loops: the source can be replayed from the start.
        ends: end of stream is expected, not a fault.
        sized_by_device: the device delivers the requested size and rate, so no scaling is needed.
        flipped_by_device: the device applies flip_method.
        folder: frames are read from the image files of this path.
        feeder: returns the object that pushes frames into the running pipeline.
        tagged: the container may specify the orientation.
        progressive: the source is never interlaced.
        remote: times run on the camera's clock (see ``SenderLine``).
        stamped: the buffers' times are capture times of the ROS clock.
        hint: added to errors.
        notes: the selected elements and why.
    """

    head: str
    codec: str = "raw"
    decode: str = ""
    has_coded: bool = False
    paced: bool = False
    loops: bool = False
    ends: bool = False
    sized_by_device: bool = False
    flipped_by_device: bool = False
    folder: str = ""
    feeder: Callable[[Pipeline, CameraSettings, Counters], Feeder] | None = None
    tagged: bool = False
    progressive: bool = False
    remote: bool = False
    stamped: bool = False
    hint: str = ""
    notes: tuple[str, ...] = ()


def compose(plan: SourcePlan, settings: CameraSettings, have: Have) -> str:
    """The launch text of the capture pipeline; its appsink is named ``sink``.

    Raises:
        SettingError: this source cannot deliver the image_encoding.
    """
    steps = [plan.head]
    if jpeg_passthrough(plan, settings):
        return " ! ".join([*steps, _sink(plan)])
    if settings.image_encoding in _BAYER:
        return " ! ".join([*steps, *_bayer(plan, settings), _sink(plan)])
    if plan.has_coded:
        steps.append("tee name=tap tap. ! queue name=decode")
    steps += [plan.decode] if plan.decode else []
    steps += geometry(plan, settings, have)
    steps += ["videoconvert", _final_caps(settings)]
    return " ! ".join([*steps, _sink(plan)]) + (_CODED_BRANCH if plan.has_coded else "")


# Buffers several seconds of access units, so that a recording can start at the keyframe before the request.
_CODED_BRANCH = (
    " tap. ! queue ! appsink name=coded sync=false async=false max-buffers=250 drop=true enable-last-sample=false "
    "wait-on-eos=false"
)


def _sink(plan: SourcePlan) -> str:
    """The sink keeps only the newest frame; for a file read as fast as possible, it keeps every frame."""
    newest = plan.paced or not plan.ends
    return (
        f"appsink name=sink sync={_bool(plan.paced)} max-buffers={1 if newest else 4} drop={_bool(newest)} "
        "enable-last-sample=false qos=false"
    )


def jpeg_passthrough(plan: SourcePlan, settings: CameraSettings) -> bool:
    """Whether JPEG frames of the source pass through unchanged; they are decoded only if pixels are needed."""
    untouched = settings.flip_method == "none" and not settings.cropped and (plan.sized_by_device or not settings.sized)
    return plan.codec == "jpeg" and untouched and settings.image_encoding in _CONVERTIBLE


_CONVERTERS = (("nvvidconv", "Jetson's video image compositor"), ("videoscale", "the CPU (with videoflip)"))
_PLAIN = "video/x-raw,format=I420"


def converter(settings: CameraSettings, have: Have) -> ElementChoice:
    """The element that rotates and scales.

    Raises:
        MissingDependency: the requested element is not installed.
    """
    return choose("converter", settings.converter, _CONVERTERS, have)


def reshaped(plan: SourcePlan, settings: CameraSettings) -> bool:
    """Whether the frames must be rotated or scaled after decoding."""
    return (settings.flip_method != "none" and not plan.flipped_by_device) or (
        settings.sized and not plan.sized_by_device
    )


def geometry(plan: SourcePlan, settings: CameraSettings, have: Have) -> list[str]:
    """Launch text to deinterlace, rotate, scale and crop, in this order; crop_* are pixels after rotation."""
    steps = _upright(plan, settings)
    scaled = settings.sized and not plan.sized_by_device
    fields = [f"width={settings.image_width}"] if settings.image_width > 0 else []
    fields += [f"height={settings.image_height}"] if settings.image_height > 0 else []
    size = ",".join(["video/x-raw", *fields, "pixel-aspect-ratio=1/1"])
    flips = settings.flip_method != "none" and not plan.flipped_by_device
    if reshaped(plan, settings) and converter(settings, have).element == "nvvidconv":
        steps.append(f"nvvidconv flip-method={NVVIDCONV_FLIPS[settings.flip_method]} ! {size if scaled else _PLAIN}")
    else:
        steps += [f"videoflip video-direction={VIDEO_DIRECTIONS[settings.flip_method]}"] if flips else []
        steps += [f"videoscale ! {size}"] if scaled else []
    if settings.cropped:
        steps.append(
            f"videocrop left={settings.crop_left} right={settings.crop_right} "
            f"top={settings.crop_top} bottom={settings.crop_bottom}"
        )
    return steps


def _upright(plan: SourcePlan, settings: CameraSettings) -> list[str]:
    """Deinterlace and apply the container's orientation; both elements are passthrough if there is nothing to do."""
    steps = []
    if settings.deinterlace != "never" and not plan.progressive and plan.codec not in ("jpeg", "nvmm"):
        mode = "auto" if settings.deinterlace == "auto" else "interlaced"
        steps.append(f"deinterlace mode={mode} method=linear fields=top")
    if settings.orientation == "auto" and plan.tagged:
        steps.append(f"videoconvert ! videoflip name={UPRIGHT} video-direction=auto")
    return steps


def _final_caps(settings: CameraSettings) -> str:
    if settings.image_encoding in _CONVERTIBLE:
        return f"video/x-raw,format=(string){NATIVE_FORMATS}"
    return f"video/x-raw,format={ENCODINGS[settings.image_encoding].gstreamer}"


def _bayer(plan: SourcePlan, settings: CameraSettings) -> list[str]:
    touched = settings.flip_method != "none" or settings.cropped or (settings.sized and not plan.sized_by_device)
    if touched:
        raise SettingError(
            "image_encoding", settings.image_encoding, "a Bayer mosaic cannot be rotated, scaled or cropped"
        )
    if plan.codec not in ("bayer", "any"):
        remedy = f"this source does not deliver Bayer frames; use one of {', '.join(_CONVERTIBLE)}"
        raise SettingError("image_encoding", settings.image_encoding, remedy)
    return [f"capsfilter caps=video/x-bayer,format={_BAYER[settings.image_encoding]}"]


def _bool(value: bool) -> str:
    return "true" if value else "false"
