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

"""Detections between edgecam_core's types and vision_msgs."""

from __future__ import annotations

from edgecam_core.types import Detection, Detections
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


def detections_to_ros(detections: Detections, header: Header, class_id_format: str = "name") -> Detection2DArray:
    """A Detection2DArray. ``header`` is that of the source image and is copied to every detection.

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
    """The detections of an array, in its order. ``class_id`` is -1 unless the text is a class number."""
    return [_detection_from_ros(detection) for detection in message.detections]


def _detection_from_ros(message: Detection2D) -> Detection:
    best = message.results[0].hypothesis if message.results else ObjectHypothesis()
    center, half_x, half_y = message.bbox.center.position, message.bbox.size_x / 2, message.bbox.size_y / 2
    box = (center.x - half_x, center.y - half_y, center.x + half_x, center.y + half_y)
    return Detection(best.class_id, _class_number(best.class_id), best.score, box, message.id)


def _class_number(text: str) -> int:
    """The class number, if the text is a number that fits Detections.class_ids (int32); otherwise -1."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 10:
        return -1
    number = int(text)
    return number if number < 2**31 else -1
