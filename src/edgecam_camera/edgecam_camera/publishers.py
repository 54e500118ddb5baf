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

"""Publishes frames as messages: converts each frame once, into a reused message, only while there are subscribers."""

from __future__ import annotations

import array
from typing import NamedTuple

import numpy as np
from edgecam_core.camera.calibration import Calibration
from edgecam_core.camera.captured_frame import CapturedFrame
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.camera.views import ViewError, for_view
from edgecam_ros.conversions import header_to_ros
from edgecam_ros.local_topics import LOCAL
from edgecam_ros.qos import image_qos, sensor_qos
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, RegionOfInterest
from std_msgs.msg import Header


def captured_qos(reliability: str) -> QoSProfile:
    """The QoS of the camera's topics for the parameter ``image_reliability``."""
    return image_qos() if reliability == "reliable" else sensor_qos("best_effort", depth=5)


class RawPublisher:
    """``image_raw``. Use only on the camera's thread. The message is reused, because publishing copies it.

    Nodes in the same process receive the frame without a message (``edgecam_ros.local_topics``).
    """

    def __init__(self, node: Node, reliability: str) -> None:
        self._node = node
        self._topic = str(node.resolve_topic_name("image_raw"))
        self._publisher = node.create_publisher(Image, "image_raw", captured_qos(reliability))
        self._message = Image()

    def close(self) -> None:
        self._node.destroy_publisher(self._publisher)

    def has_consumers(self) -> bool:
        return bool(self._publisher.get_subscription_count()) or LOCAL.has_subscribers(self._topic)

    def publish(self, captured: CapturedFrame, header: Header, encoding: str) -> None:
        """Convert the frame into the message and publish it.

        Raises:
            ImageError: the frame is damaged.
        """
        if LOCAL.has_subscribers(self._topic):
            LOCAL.publish(self._topic, captured.frame(encoding))  # new memory, because subscribers may keep the frame
            if not self._publisher.get_subscription_count():
                return
        self._publisher.publish(self._filled(captured, header, encoding))

    def prepare(self, captured: CapturedFrame, header: Header, encoding: str) -> None:
        """Convert a first frame that nobody sees: a conversion loads libraries, and meanwhile subscribers are found.

        Does nothing after the first call. Raises as :meth:`publish`.
        """
        if not len(self._message.data):
            self._filled(captured, header, encoding)

    def _filled(self, captured: CapturedFrame, header: Header, encoding: str) -> Image:
        """The message with this frame; valid until the next call."""
        size = captured.size(encoding)
        message = self._message
        if len(message.data) != size:
            message = Image(data=array.array("B", bytes(size)))
        frame = captured.frame(encoding, np.frombuffer(message.data, np.uint8))
        message.header = header
        message.width, message.height, message.step = frame.width, frame.height, frame.step
        message.encoding = encoding
        self._message = message
        return message


class CompressedPublisher:
    """``image_raw/compressed``: the camera's JPEG data if it delivers JPEG, otherwise encoded here."""

    def __init__(self, node: Node, reliability: str) -> None:
        self._node = node
        self._publisher = node.create_publisher(CompressedImage, "image_raw/compressed", captured_qos(reliability))

    def close(self) -> None:
        self._node.destroy_publisher(self._publisher)

    def has_consumers(self) -> bool:
        return bool(self._publisher.get_subscription_count())

    def publish(self, captured: CapturedFrame, header: Header, encoding: str, quality: int) -> None:
        """Publish the frame as JPEG.

        Raises:
            ImageError: the frame is damaged.
        """
        import cv2

        grey = encoding == "mono8"
        if captured.is_jpeg and not grey:
            data = captured.jpeg()
        else:
            frame = captured.frame(encoding)
            pixels = frame.array() if grey else frame.bgr()
            _ok, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        message = CompressedImage(header=header, format=compressed_format(encoding))
        message.data.frombytes(np.ascontiguousarray(data).data)
        self._publisher.publish(message)


def compressed_format(encoding: str) -> str:
    """The format string of image_transport's compressed plugin; subscribers restore ``encoding`` from it."""
    if encoding == "mono8":
        return "mono8; jpeg compressed "
    return f"{encoding if encoding in ('bgr8', 'rgb8') else 'bgr8'}; jpeg compressed bgr8"


class InfoPublisher:
    """``camera_info``, with the header of the frame it belongs to."""

    def __init__(self, node: Node, reliability: str) -> None:
        self._node = node
        self._publisher = node.create_publisher(CameraInfo, "camera_info", captured_qos(reliability))
        self._calibration: Calibration | None = None
        self._fitted: Fitted | None = None

    def close(self) -> None:
        self._node.destroy_publisher(self._publisher)

    def has_consumers(self) -> bool:
        return bool(self._publisher.get_subscription_count())

    @property
    def view(self) -> str:
        """The flip between source and last frame, as a flip_method."""
        return self._fitted.view if self._fitted else "none"

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the last frame before cropping."""
        return self._fitted.size if self._fitted else None

    def use(self, calibration: Calibration | None) -> None:
        """Publish this calibration from the next frame on."""
        self._calibration, self._fitted = calibration, None

    def misfit(self) -> str:
        """The reason why the calibration is not published, or ``""``."""
        return self._fitted.misfit if self._fitted else ""

    def publish(self, captured: CapturedFrame, header: Header, settings: CameraSettings) -> None:
        size = full_size(captured.width, captured.height, settings)
        fitted = self._fitted
        if fitted is None or (fitted.size, fitted.view) != (size, captured.view):
            fitted = self._fitted = fit(self._calibration, captured.view, size)
        if self.has_consumers():
            message = info_message(fitted.calibration, captured.width, captured.height, header, settings)
            self._publisher.publish(message)


class Fitted(NamedTuple):
    """The calibration for frames of this size (before cropping) and view, or None and the reason (``misfit``)."""

    size: tuple[int, int]
    view: str
    calibration: Calibration | None
    misfit: str = ""


def fit(calibration: Calibration | None, view: str, size: tuple[int, int]) -> Fitted:
    try:
        return Fitted(size, view, calibration and for_view(calibration, view, size))
    except ViewError as error:
        return Fitted(size, view, None, str(error))


def full_size(width: int, height: int, settings: CameraSettings) -> tuple[int, int]:
    """The size before cropping, to which the calibration applies."""
    return width + settings.crop_left + settings.crop_right, height + settings.crop_top + settings.crop_bottom


def info_message(
    calibration: Calibration | None, width: int, height: int, header: Header, settings: CameraSettings
) -> CameraInfo:
    """The CameraInfo of a published frame of this size; without a calibration, ``k[0]`` is 0 (REP-104).

    A cropped frame is described as a region of interest of the full frame (see CameraInfo.msg).
    """
    full_width, full_height = full_size(width, height, settings)
    info = CameraInfo(header=header, width=full_width, height=full_height)
    if settings.cropped:
        info.roi = RegionOfInterest(
            x_offset=settings.crop_left, y_offset=settings.crop_top, width=width, height=height, do_rectify=False
        )
    if calibration is not None:
        info.distortion_model = calibration.distortion_model
        info.d, info.k = list(calibration.d), list(calibration.k)
        info.r, info.p = list(calibration.r), list(calibration.p)
    return info


def image_header(captured: CapturedFrame) -> Header:
    return header_to_ros(captured.stamp_ns, captured.frame_id)
