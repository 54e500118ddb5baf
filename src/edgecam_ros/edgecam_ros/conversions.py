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

"""Conversions between edgecam_core's types and ROS messages: pairs of ``x_to_ros`` and ``x_from_ros``."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from edgecam_core.errors import EdgecamError, ImageError
from edgecam_core.media.encodings import ENCODINGS, OPENCV_NAMES
from edgecam_core.types import Detection, Detections, Frame
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
    Point2D,
    Pose2D,
)

_SECOND = 1_000_000_000
_MOST_SECONDS = 2**31


class TimeError(EdgecamError):
    """A time that ROS cannot represent."""


def stamp_from_ns(stamp_ns: int) -> Time:
    """Nanoseconds since the epoch to builtin_interfaces/Time.

    Raises:
        TimeError: outside the 32-bit seconds of ROS; rclpy would publish another time without a word.
    """
    seconds, nanoseconds = divmod(stamp_ns, _SECOND)
    if not -_MOST_SECONDS <= seconds < _MOST_SECONDS:
        raise TimeError(f"the time {seconds} s is not within 1901 to 2038, as ROS 2 requires; set this machine's clock")
    return Time(sec=seconds, nanosec=nanoseconds)


def ns_from_stamp(stamp: Time) -> int:
    """builtin_interfaces/Time to nanoseconds since the epoch."""
    return stamp.sec * _SECOND + stamp.nanosec


def header_to_ros(stamp_ns: int, frame_id: str) -> Header:
    return Header(stamp=stamp_from_ns(stamp_ns), frame_id=frame_id)


def image_to_ros(frame: Frame) -> Image:
    """A sensor_msgs/Image with its own copy of the pixels (the only copy made here)."""
    row = ENCODINGS[frame.encoding]
    message = Image(
        header=header_to_ros(frame.stamp_ns, frame.frame_id),
        width=frame.width,
        height=frame.height,
        encoding=frame.encoding,
        step=frame.step,
        is_bigendian=0,
    )
    # Assigning an array or a memoryview would convert element by element: 5 to 300 ms per frame.
    message.data.frombytes(frame.data[: frame.step * row.stored_rows(frame.height)].data)
    return message


def image_from_ros(message: Image) -> Frame:
    """The frame of a message, a view of its data without a copy.

    OpenCV's names (8UC3, ...) are mapped to the corresponding encoding. Encodings that are not in
    ``edgecam_core.media.encodings`` and big-endian samples are converted to bgr8 by cv_bridge.

    Raises:
        ImageError: the message's size, step and data are inconsistent, or the encoding is unknown.
    """
    stamp_ns, frame_id = ns_from_stamp(message.header.stamp), message.header.frame_id
    encoding = OPENCV_NAMES.get(message.encoding, message.encoding)
    if encoding not in ENCODINGS or (message.is_bigendian and ENCODINGS[encoding].dtype is np.uint16):
        return Frame.from_array(_through_cv_bridge(message), "bgr8", stamp_ns, frame_id)
    return Frame(
        width=message.width,
        height=message.height,
        encoding=encoding,
        step=message.step,
        data=np.frombuffer(message.data, np.uint8),
        stamp_ns=stamp_ns,
        frame_id=frame_id,
    )


def _through_cv_bridge(message: Image) -> np.ndarray:
    try:
        from cv_bridge import CvBridge
    except ImportError as error:
        known = ", ".join(ENCODINGS)
        text = f"encoding {message.encoding!r} needs cv_bridge, which is not installed; use {known}"
        raise ImageError(text) from error

    try:
        return CvBridge().imgmsg_to_cv2(message, "bgr8")
    except Exception as error:  # also ImportError, AttributeError if it was built for another NumPy or OpenCV
        size = f"{message.width}x{message.height} {message.encoding!r}"
        raise ImageError(f"a {size} frame with {len(message.data)} bytes cannot be converted: {error}") from error


def detections_to_ros(detections: Detections, header: Header, class_id_format: str = "name") -> Detection2DArray:
    """One Detection2DArray; ``header`` is that of the source image; it is copied to every detection.

    ``class_id_format`` is ``name`` (the label) or ``index`` (the class number as text).
    """
    found = [_detection_to_ros(detection, header, class_id_format) for detection in detections]
    return Detection2DArray(header=header, detections=found)


def _detection_to_ros(detection: Detection, header: Header, class_id_format: str) -> Detection2D:
    x1, y1, x2, y2 = detection.box
    center = Pose2D(position=Point2D(x=(x1 + x2) / 2, y=(y1 + y2) / 2), theta=0.0)
    class_id = detection.label if class_id_format == "name" else str(detection.class_id)
    hypothesis = ObjectHypothesis(class_id=class_id, score=detection.score)
    return Detection2D(
        header=header,
        results=[ObjectHypothesisWithPose(hypothesis=hypothesis)],
        bbox=BoundingBox2D(center=center, size_x=x2 - x1, size_y=y2 - y1),
        id=detection.track_id,
    )


def detections_from_ros(message: Detection2DArray) -> list[Detection]:
    """The detections of an array, in its order. ``class_id`` is the number if the text is one, otherwise -1."""
    return [_detection_from_ros(detection) for detection in message.detections]


def _detection_from_ros(message: Detection2D) -> Detection:
    best = message.results[0].hypothesis if message.results else ObjectHypothesis()
    center, half_x, half_y = message.bbox.center.position, message.bbox.size_x / 2, message.bbox.size_y / 2
    box = (center.x - half_x, center.y - half_y, center.x + half_x, center.y + half_y)
    return Detection(best.class_id, _class_number(best.class_id), best.score, box, message.id)


def _class_number(text: str) -> int:
    """The class number where the text is one that fits Detections.class_ids (int32), else -1."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 10:
        return -1
    number = int(text)
    return number if number < 2**31 else -1
