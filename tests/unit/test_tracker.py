from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from edgecam_core.models.assignment import assign
from edgecam_core.models.tracker import Tracker
from edgecam_core.types import Detections

FRAME_NS = 33_333_333


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3), (1, 6), (6, 1)])
def test_the_assignment_is_the_cheapest(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(sum(shape))
    for _ in range(20):
        costs = random.random(shape)
        pairs = assign(costs, 10)
        small, large = min(shape), max(shape)
        square = costs if shape[0] <= shape[1] else costs.T
        best = min(sum(square[i, p] for i, p in enumerate(chosen)) for chosen in permutations(range(large), small))
        assert sum(costs[pair] for pair in pairs) == pytest.approx(best)
        assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == small


def test_pairs_above_the_limit_are_left_out() -> None:
    assert assign(np.array([[0.1, 0.9], [0.9, 0.9]]), 0.5) == [(0, 0)]
    assert assign(np.zeros((0, 3)), 1) == []


def found(*boxes: tuple[float, float], score: float = 0.9, classes: list[int] | None = None) -> Detections:
    corners = np.array([[x, y, x + 40, y + 40] for x, y in boxes], np.float32).reshape(-1, 4)
    ids = np.array(classes if classes is not None else [1] * len(boxes), np.int32)
    return Detections(corners, np.full(len(boxes), score, np.float32), ids, ("", "a", "b"))


def track(tracker: Tracker, detections: Detections, number: int, sure: bool = True) -> tuple[str, ...]:
    return tracker.update(detections, np.full(len(detections), sure), number * FRAME_NS).track_ids


def test_a_moving_object_keeps_its_number() -> None:
    tracker = Tracker()
    seen = [track(tracker, found((10 * number, 100)), number) for number in range(1, 40)]
    assert set(seen) == {("1",)}


def test_two_objects_that_pass_each_other_keep_their_numbers() -> None:
    tracker = Tracker()
    for number in range(1, 60):
        left, right = (8.0 * number, 100.0), (480 - 8.0 * number, 118.0)
        last = track(tracker, found(left, right), number)
        assert last == ("1", "2"), number


def test_an_object_hidden_while_passing_keeps_its_number() -> None:
    tracker = Tracker()
    for number in range(1, 60):
        left, right = (8.0 * number, 100.0), (480 - 8.0 * number, 118.0)
        hidden = 27 <= number <= 33  # they overlap
        last = track(tracker, found(left) if hidden else found(left, right), number)
        assert last == (("1",) if hidden else ("1", "2")), number


def test_a_number_is_never_reused() -> None:
    tracker = Tracker(patience=0.1)
    seen = [track(tracker, found((100.0 * (number // 6), 50)), number)[0] for number in range(1, 60)]
    runs = [one for number, one in enumerate(seen) if one and one not in seen[max(0, number - 1) : number]]
    assert len(runs) == len(set(runs)) == 10


def test_a_short_miss_keeps_the_number_even_while_moving() -> None:
    tracker = Tracker()
    for number in range(1, 10):
        track(tracker, found((10 * number, 50)), number)
    for number in range(10, 20):
        assert track(tracker, found(), number) == ()
    assert track(tracker, found((200, 50)), 20) == ("1",)


def test_a_long_miss_gives_a_new_number() -> None:
    tracker = Tracker(patience=0.5)
    for number in range(1, 5):
        track(tracker, found((50, 50)), number)
    for number in range(5, 30):
        track(tracker, found(), number)
    assert [track(tracker, found((50, 50)), number) for number in (30, 31)] == [("",), ("2",)]


def test_dropped_images_do_not_lose_tracks() -> None:
    tracker = Tracker()
    for number in (1, 2, 3, 4, 5, 6, 12, 13, 20, 26):  # images are missing
        last = track(tracker, found((15 * number, 50)), number)
    assert last == ("1",)


def test_a_low_score_continues_a_track_but_starts_none() -> None:
    tracker = Tracker()
    for number in range(1, 5):
        track(tracker, found((50, 50)), number)
    assert track(tracker, found((52, 50), (300, 300), score=0.3), 5, sure=False) == ("1",)
    assert track(tracker, found((52, 50)), 6) == ("1",)


def test_a_new_object_is_numbered_when_seen_twice() -> None:
    tracker = Tracker()
    track(tracker, found((50, 50)), 1)
    assert track(tracker, found((50, 50), (200, 200)), 2) == ("1", "")
    assert track(tracker, found((50, 50), (200, 200)), 3) == ("1", "2")
    assert track(tracker, found((50, 50), (400, 300)), 4) == ("1", "")  # an object seen once gets no number


def test_classes_are_not_mixed() -> None:
    tracker = Tracker()
    track(tracker, found((50, 50), classes=[1]), 1)
    track(tracker, found((50, 50), classes=[2]), 2)
    assert track(tracker, found((50, 50), classes=[2]), 3) == ("2",)


def test_a_clip_that_starts_again_starts_new_tracks() -> None:
    tracker = Tracker()
    track(tracker, found((50, 50)), 100)
    assert track(tracker, found((50, 50)), 1) == ("",)
    assert track(tracker, found((50, 50)), 2) == ("2",)


def test_images_without_stamps() -> None:
    tracker = Tracker()
    for number in range(20):
        last = tracker.update(found((10.0 * number, 0)), np.ones(1, bool))
    assert last.track_ids == ("1",)


@pytest.mark.parametrize("before", [1, 2, 5])
def test_a_pause_longer_than_the_patience_ends_tracks(before: int) -> None:
    """No image was processed meanwhile: a deactivated camera, or an interrupted stream."""
    tracker = Tracker(patience=1.0)
    for number in range(before):
        track(tracker, found((50, 50)), number)
    later = before + 60 * 30 * 10
    assert [track(tracker, found((50, 50)), later + number) for number in range(2)] == [("",), ("2",)]


def test_a_pause_shorter_than_the_patience_does_not() -> None:
    tracker = Tracker(patience=1.0)
    for number in range(5):
        track(tracker, found((50, 50)), number)
    assert track(tracker, found((50, 50)), 4 + 29) == ("1",)
