"""Pairing frames with detections by stamp, and pacing."""

from __future__ import annotations

import numpy as np
import pytest
from edgecam_core.types import Frame
from edgecam_viewer.feed import PATIENCE, Feed, FramePacer

from edgecam_viewer import feed

BOX = [["cat", 0.9, 1.0, 2.0, 3.0, 4.0, ""]]


def frame(stamp_ns: int, size: int = 8) -> Frame:
    return Frame.from_array(np.zeros((size, size, 3), np.uint8), "bgr8", stamp_ns)


def test_without_detections_every_frame_passes_at_once() -> None:
    one = Feed(max_fps=100)
    shots = [one.add_frame(frame(n), n / 30) for n in range(5)]
    assert [annotated and annotated.found for annotated in shots] == [None] * 5
    assert all(annotated is not None for annotated in shots)


def test_a_frame_waits_for_the_detections_with_its_stamp() -> None:
    one = Feed(max_fps=100)
    one.add_frame(frame(1), 0.0)
    assert one.add_detections(1, BOX, 0.05).found == BOX  # the first pair: from now on frames wait
    assert one.add_frame(frame(2), 0.1) is None
    assert one.add_frame(frame(3), 0.2) is None
    annotated = one.add_detections(3, [], 0.25)
    assert (annotated.frame.stamp_ns, annotated.found) == (3, [])
    assert one.add_detections(2, BOX, 0.26) is None, "a frame older than the last pair must not come back"


def test_detections_that_come_first_are_kept_for_their_frame() -> None:
    one = Feed(max_fps=100)
    assert one.add_detections(7, BOX, 0.0) is None
    annotated = one.add_frame(frame(7), 0.1)
    assert (annotated.frame.stamp_ns, annotated.found) == (7, BOX)


def test_frames_pass_without_boxes_when_the_detector_stops() -> None:
    one = Feed(max_fps=100)
    one.add_frame(frame(1), 0.0)
    one.add_detections(1, BOX, 0.0)
    assert one.add_frame(frame(2), PATIENCE / 2) is None
    assert one.add_frame(frame(3), PATIENCE + 0.1).found is None


def test_detections_of_other_frames_do_not_stop_the_frame() -> None:
    one = Feed(max_fps=1000)
    for n in range(0, 300, 2):
        assert one.add_detections(n + 1, BOX, n / 30) is None
        assert one.add_frame(frame(n), n / 30) is not None
    assert one.matched == 0


def test_held_frames_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    size = frame(0).data.nbytes
    monkeypatch.setattr(feed, "HELD_BYTES", 3 * size)
    one = Feed(max_fps=100)
    one.add_detections(0, [], 0.0)
    one.add_frame(frame(0), 0.0)
    for n in range(1, 11):
        one.add_frame(frame(n), 0.01)
    assert one.add_detections(7, BOX, 0.02) is None, "discarded to stay within the budget"
    assert one.add_detections(8, BOX, 0.02).frame.stamp_ns == 8


def test_a_stopped_clock_does_not_fill_the_memory() -> None:
    one = Feed(max_fps=1e9)
    for n in range(1000):
        one.add_frame(frame(5), n / 30)
    assert one.add_detections(5, BOX, 40.0).found == BOX


def test_clear_forgets_frames_and_pairs() -> None:
    one = Feed(max_fps=100)
    one.add_frame(frame(1), 0.0)
    one.add_detections(1, BOX, 0.0)
    one.add_frame(frame(2), 0.1)
    one.clear()
    assert one.add_detections(2, BOX, 0.1) is None
    assert one.add_frame(frame(3), 0.2).found is None, "after a break frames do not wait"


@pytest.mark.parametrize(("camera", "most", "expected"), [(30, 10, 10), (30, 30, 30), (30, 60, 30), (25, 20, 20)])
def test_the_pacer_keeps_the_requested_rate(camera: int, most: float, expected: float) -> None:
    pacer = FramePacer(most)
    jitter = np.random.default_rng(1).uniform(-0.004, 0.004, camera * 20)
    passed = sum(pacer.allows(n / camera + jitter[n]) for n in range(camera * 20))
    assert passed / 20 == pytest.approx(expected, rel=0.06)


def test_the_pacer_allows_no_bursts() -> None:
    pacer = FramePacer(10)
    assert pacer.allows(0.0)
    assert pacer.allows(100.0)
    assert sum(pacer.allows(100.0 + n / 1000) for n in range(1, 100)) <= 2
