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

"""Converts edgecam_core's types to ROS messages and back, in pairs of ``x_to_ros`` and ``x_from_ros``.

Detections are in ``detections.py``, so that nodes without detections do not load vision_msgs.
"""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from edgecam_core.errors import EdgecamError, ImageError
from edgecam_core.media.encodings import ENCODINGS, OPENCV_NAMES
from edgecam_core.types import Frame
from sensor_msgs.msg import Image
from std_msgs.msg import Header

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
    """A sensor_msgs/Image with a copy of the pixels."""
    row = ENCODINGS[frame.encoding]
    message = Image(
        header=header_to_ros(frame.stamp_ns, frame.frame_id),
        width=frame.width,
        height=frame.height,
        encoding=frame.encoding,
        step=frame.step,
        is_bigendian=0,
    )
    # Assigning an array or a memoryview would convert each element: 5 to 300 ms per frame.
    message.data.frombytes(frame.data[: frame.step * row.stored_rows(frame.height)].data)
    return message


def image_from_ros(message: Image) -> Frame:
    """The frame of a message, a view of its data.

    OpenCV's names (8UC3, ...) are mapped to the corresponding encoding. cv_bridge converts big-endian samples, and
    encodings that are not in ``edgecam_core.media.encodings``, to bgr8.

    Raises:
        ImageError: size, step and data of the message are inconsistent, or the encoding is unknown.
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
