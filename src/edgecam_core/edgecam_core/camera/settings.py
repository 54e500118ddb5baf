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

"""The settings of the camera."""

from __future__ import annotations

from dataclasses import dataclass

from edgecam_core.errors import SettingError
from edgecam_core.media.encodings import ENCODINGS
from edgecam_core.settings import Settings, setting

ENCODING_CHOICES = (
    "bgr8", "rgb8", "mono8", "nv12", "yuv422_yuy2", "bayer_rggb8", "bayer_bggr8", "bayer_gbrg8", "bayer_grbg8",
)  # fmt: skip
FLIPS = (
    "none", "clockwise", "rotate-180", "counterclockwise", "horizontal-flip", "vertical-flip",
    "upper-left-diagonal", "upper-right-diagonal",
)  # fmt: skip
_TURNING = ("clockwise", "counterclockwise", "upper-left-diagonal", "upper-right-diagonal")


@dataclass(frozen=True, kw_only=True)
class CameraSettings(Settings):
    """One camera: its source and how its frames are published."""

    source: str = setting(
        "test://smpte",
        "URI of the source: test://smpte, v4l2:///dev/video0, csi://0, file:///path/clip.mp4, "
        "rtsp://host/path, rtp://@:5000, http://host/stream.mjpg, mcap:///file.mcap, or pipeline:<GStreamer pipeline>.",
    )
    pipeline: str = setting(
        "", "GStreamer pipeline that ends in raw video or JPEG; used instead of source unless empty."
    )
    camera_name: str = setting("camera", "Name of the camera, used in camera_info, frame_id and file names.")
    frame_id: str = setting("", "Optical frame (REP-103); empty: <camera_name>_optical_frame.")
    camera_info_url: str = setting(
        "",
        "Calibration: file:///path.yaml or package://pkg/path.yaml; empty: ~/.ros/camera_info/<camera_name>.yaml, "
        "if it exists.",
    )
    image_width: int = setting(
        -1, "Width of the published image; -1: width of the source.", low=-1, high=16384, unit="px", runtime=True
    )
    image_height: int = setting(
        -1, "Height of the published image; -1: height of the source.", low=-1, high=16384, unit="px", runtime=True
    )
    framerate: float = setting(
        0.0, "Maximum frame rate; 0: rate of the source.", low=0, high=1000, unit="Hz", runtime=True
    )
    image_encoding: str = setting("bgr8", "Encoding of image_raw.", choices=ENCODING_CHOICES)
    pixel_format: str = setting(
        "auto", "Format requested from a V4L2 camera; auto: raw up to 640x480 at 30 Hz, mjpeg above.",
        choices=("auto", "raw", "yuyv", "uyvy", "nv12", "mjpeg", "h264", "h265", "grey", "bayer"),
    )  # fmt: skip
    use_gst_timestamps: bool = setting(
        True, "Stamp images with the capture time of the GStreamer clock; false: with the arrival time."
    )
    loop: bool = setting(False, "Repeat a file.")
    realtime: bool = setting(True, "Play a file at its frame rate; false: as fast as it can be read.")
    flip_method: str = setting("none", "Rotation or mirroring of the image.", choices=FLIPS, runtime=True)
    orientation: str = setting(
        "auto", "Rotate the frames of a file by its rotation tag; ignore: leave them as stored.",
        choices=("auto", "ignore"),
    )  # fmt: skip
    deinterlace: str = setting(
        "auto", "Deinterlace: auto (if the stream is marked as interlaced), always or never.",
        choices=("auto", "always", "never"),
    )  # fmt: skip
    crop_left: int = setting(0, "Columns to crop at the left.", low=0, high=16384, unit="px", runtime=True)
    crop_right: int = setting(0, "Columns to crop at the right.", low=0, high=16384, unit="px", runtime=True)
    crop_top: int = setting(0, "Rows to crop at the top.", low=0, high=16384, unit="px", runtime=True)
    crop_bottom: int = setting(0, "Rows to crop at the bottom.", low=0, high=16384, unit="px", runtime=True)
    image_reliability: str = setting(
        "reliable", "Reliability (QoS) of the image publishers; reliable matches every subscriber.",
        choices=("reliable", "best_effort"),
    )  # fmt: skip
    jpeg_quality: int = setting(95, "JPEG quality of image_raw/compressed.", low=1, high=100, runtime=True)
    latency: int = setting(100, "Time that network sources wait for late packets.", low=0, high=10000, unit="ms")
    rtsp_transport: str = setting("auto", "Transport of RTSP media.", choices=("auto", "udp", "tcp"))
    rtsp_user: str = setting("", "User name for RTSP and HTTP; may also be part of the URI.")
    rtsp_password: str = setting("", "Password for RTSP and HTTP.", secret=True)
    rtp_codec: str = setting("h265", "Codec of an rtp:// source.", choices=("h264", "h265", "jpeg"))
    decoder: str = setting("auto", "Decoder element; auto selects the best one available.")
    decode_idle: str = setting(
        "keyframes",
        "Frames to decode of an H.264 or H.265 stream (rtsp, rtp, v4l2) that has no subscribers; with all, a new "
        "subscriber does not wait for the next keyframe.",
        choices=("keyframes", "all"),
        runtime=True,
    )
    converter: str = setting(
        "auto", "Element that rotates and scales, or auto.", choices=("auto", "nvvidconv", "videoscale")
    )
    output_directory: str = setting("~/edgecam", "Folder for snapshots and recordings.")
    snapshot_format: str = setting("png", "File type of snapshots.", choices=("png", "jpg"), runtime=True)
    record_format: str = setting("mkv", "File type of recordings.", choices=("mkv", "mp4"), runtime=True)
    record_split_seconds: float = setting(
        600.0,
        "Length of a recording file before a new one starts; 0: no limit.",
        low=0,
        high=86400,
        unit="s",
        runtime=True,
    )
    record_split_mb: float = setting(
        0.0, "Size of a recording file before a new one starts; 0: no limit.", low=0, high=1e6, unit="MB", runtime=True
    )
    record_encoder: str = setting("auto", "H.265 encoder for recordings of sources that are not H.264 or H.265.")
    record_bitrate: int = setting(
        4_000_000, "Bitrate of record_encoder.", low=50_000, high=200_000_000, unit="bit/s", runtime=True
    )
    stall_timeout: float = setting(
        3.0, "Time without a frame after which the source counts as lost and is reopened; 0: never.",
        low=0, high=3600, unit="s", runtime=True,
    )  # fmt: skip
    reconnect_max: float = setting(
        1.0, "Longest wait between two attempts to reopen a lost source.", low=0.1, high=3600, unit="s", runtime=True
    )

    def check(self) -> None:
        for name in ("image_width", "image_height"):
            if getattr(self, name) == 0:
                raise SettingError(name, 0, "must be 1 to 16384 px; -1 keeps the size of the source")
        if not self.source and not self.pipeline:
            raise SettingError("source", "", "set a source, e.g. test://smpte or v4l2:///dev/video0")
        if not self.camera_name.replace("_", "").isalnum():
            raise SettingError("camera_name", self.camera_name, "use letters, digits and underscores only")
        self._check_crop("image_width", self.crop_left + self.crop_right)
        self._check_crop("image_height", self.crop_top + self.crop_bottom)

    def _check_crop(self, name: str, cut: int) -> None:
        size: int = getattr(self, name)
        even = ENCODINGS[self.image_encoding].even
        if size > 0 and cut >= size:
            sides = "crop_left and crop_right" if name == "image_width" else "crop_top and crop_bottom"
            raise SettingError(name, size, f"{sides} remove {cut} px and leave nothing; lower them")
        if size > 0 and name[6] in even and (size - cut) % 2:
            raise SettingError(name, size, f"image_encoding {self.image_encoding} needs an even size after cropping")

    @property
    def optical_frame(self) -> str:
        return self.frame_id or f"{self.camera_name}_optical_frame"

    @property
    def turned(self) -> bool:
        """Whether flip_method swaps width and height."""
        return self.flip_method in _TURNING

    @property
    def cropped(self) -> bool:
        return bool(self.crop_left or self.crop_right or self.crop_top or self.crop_bottom)

    @property
    def sized(self) -> bool:
        return self.image_width > 0 or self.image_height > 0

    def source_caps(self) -> str:
        """Width, height and rate as caps fields for a device, before rotation; ``""`` or ``,width=640,...``."""
        width, height = self.image_width, self.image_height
        if self.turned:
            width, height = height, width
        fields = [f"width={width}"] if width > 0 else []
        fields += [f"height={height}"] if height > 0 else []
        if self.framerate:
            fields.append(f"framerate={fraction(self.framerate)}")
        return "".join(f",{field}" for field in fields)


def fraction(rate: float) -> str:
    """A rate as a GStreamer fraction: 25 -> 25/1, 29.97 -> 30000/1001, 12.5 -> 25/2."""
    for numerator in (24000, 30000, 60000, 120000):  # NTSC rates, rounded in any way
        if abs(rate - numerator / 1001) < 0.005:
            return f"{numerator}/1001"
    if rate == round(rate):
        return f"{round(rate)}/1"
    from fractions import Fraction  # loads decimal: not at the start of a camera with a whole rate

    exact = Fraction(rate).limit_denominator(1001)
    return f"{exact.numerator}/{exact.denominator}"
