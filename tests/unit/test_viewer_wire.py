"""The frame message and the JPEG inside it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from edgecam_core.types import Detection, Detections, Frame
from edgecam_viewer.encoder import jpeg
from edgecam_viewer.wire import MAX_FOUND, found_list, pack, unpack

STAMP = 1_764_000_000_123_456_789


def test_a_message_survives_the_round_trip() -> None:
    data = np.arange(200, dtype=np.uint8)
    frame = pack(3, STAMP, (640, 480), [["cat", 0.5, 1.0, 2.0, 3.0, 4.0, "7"]], data)
    facts, body = unpack(frame.message)
    assert facts == {
        "camera": 3, "stamp": str(STAMP), "width": 640, "height": 480,
        "detections": [["cat", 0.5, 1.0, 2.0, 3.0, 4.0, "7"]],
    }  # fmt: skip
    assert body == data.tobytes() == bytes(frame.jpeg)


def test_nothing_found_and_not_processed_differ() -> None:
    data = np.zeros(1, np.uint8)
    assert unpack(pack(0, 0, (1, 1), [], data).message)[0]["detections"] == []
    assert unpack(pack(0, 0, (1, 1), None, data).message)[0]["detections"] is None


@pytest.mark.parametrize("length", range(5))
def test_a_truncated_message_is_refused(length: int) -> None:
    message = pack(0, STAMP, (4, 4), None, np.zeros(9, np.uint8)).message
    with pytest.raises(ValueError, match="needs"):
        unpack(message[:length])


def test_detections_keep_their_order_and_labels() -> None:
    boxes = np.array([[1.26, 2, 30, 40], [5, 6, 7, 8]], np.float32)
    found = Detections(boxes, np.array([0.91234, 0.5]), np.array([1, 0]), ("cat", "dög"), ("12", "13"))
    assert found_list(found) == [["dög", 0.912, 1.3, 2.0, 30.0, 40.0, "12"], ["cat", 0.5, 5.0, 6.0, 7.0, 8.0, "13"]]


def test_numbers_that_json_lacks_and_excess_boxes_are_left_out() -> None:
    good, nan, inf = (1.0, 2.0, 3.0, 4.0), (1.0, float("nan"), 3.0, 4.0), (1.0, 2.0, float("inf"), 4.0)
    found = found_list([
        Detection("a", 0, 0.5, nan), Detection("b", 0, 0.5, inf), Detection("c", 0, float("nan"), good),
        *[Detection("d", 0, 0.5, good)] * (MAX_FOUND + 5),
    ])  # fmt: skip
    assert {one[0] for one in found} == {"d"}
    assert len(found) == MAX_FOUND


def test_frames_keep_colours_and_aspect_ratio() -> None:
    pixels = np.zeros((90, 160, 3), np.uint8)
    pixels[:] = (200, 40, 10)  # bgr
    frame = Frame.from_array(np.ascontiguousarray(pixels[:, :, ::-1]), "rgb8")
    decoded = cv2.imdecode(jpeg(frame, 90, 80), cv2.IMREAD_COLOR)
    assert decoded.shape == (45, 80, 3)
    assert np.abs(decoded[20, 40].astype(int) - (200, 40, 10)).max() < 6


def test_a_frame_is_never_enlarged() -> None:
    frame = Frame.from_array(np.zeros((4, 6), np.uint8), "mono8")
    assert cv2.imdecode(jpeg(frame, 80, 1280), cv2.IMREAD_COLOR).shape == (4, 6, 3)
