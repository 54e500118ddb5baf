"""Limits of a collection: budget, size, retention, disk space, crashes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import pytest
from collected import SECOND, collect, seen, settings
from edgecam_core.cache import CacheError
from edgecam_core.collect.budget import DAY_NS, SET_NS, Budget, least_valuable, outdated
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.collector import Collector
from edgecam_core.collect.records import REVIEWED, SKIPPED, Box, Review
from full_disk import files_of_at_most


def test_when_full_the_least_valuable_goes_first_and_reviewed_frames_stay(tmp_path: Path) -> None:
    collect(tmp_path / "c", *(seen(n) for n in range(4)))
    collection = Collection.open(tmp_path / "c")
    names = collection.ids()
    collection.save_review(Review(names[0], REVIEWED))
    size = sum(frame.bytes for frame in collection.frames()) / 1e6
    collector = collect(tmp_path / "c", seen(10), max_megabytes=max(size, 1.0) if size > 1 else 1.0)
    assert collector.frames == 5
    collector = Collector(settings(tmp_path / "c"))
    object.__setattr__(collector.settings, "max_megabytes", size)
    collector.examine(seen(11))
    collector.close()
    left = Collection.open(tmp_path / "c").ids()
    assert names[0] in left
    assert names[1] not in left
    assert any("-front-" in name and name.startswith(f"{111 * SECOND:020d}") for name in left)


def test_retention_deletes_unreviewed_frames(tmp_path: Path) -> None:
    collect(tmp_path / "c", seen(1), seen(2))
    collection = Collection.open(tmp_path / "c")
    first, second = collection.frames()
    collection.save_review(Review(second.id, SKIPPED))
    for frame in (first, second):
        row = json.loads((collection.root / "frames" / f"{frame.id}.json").read_text())
        (collection.root / "frames" / f"{frame.id}.json").write_text(json.dumps({**row, "kept_ns": SET_NS}))
    collector = Collector(settings(tmp_path / "c", retention_days=1.0))
    collector.examine(seen(3))
    collector.close()
    left = Collection.open(tmp_path / "c").ids()
    assert first.id not in left
    assert second.id in left


@pytest.mark.parametrize(
    ("kept_ns", "first_seen_ns", "now_ns", "expected"),
    [
        (SET_NS, SET_NS, SET_NS + DAY_NS, False),
        (SET_NS, SET_NS, SET_NS + DAY_NS + 1, True),
        (SET_NS + DAY_NS, SET_NS, 5 * DAY_NS, False),  # the clock is no longer set
        (5 * DAY_NS, SET_NS, SET_NS + DAY_NS, False),  # kept in 1970, the clock was set a day ago
        (5 * DAY_NS, SET_NS, SET_NS + DAY_NS + 1, True),
    ],
)
def test_retention_counts_only_by_a_clock_that_is_set(
    kept_ns: int, first_seen_ns: int, now_ns: int, expected: bool
) -> None:
    assert outdated(kept_ns, first_seen_ns, now_ns, 1.0) is expected


def test_frames_of_a_clock_that_was_not_set_are_not_deleted_when_it_is(tmp_path: Path) -> None:
    collect(tmp_path / "c", seen(1))
    collection = Collection.open(tmp_path / "c")
    path = collection.root / "frames" / f"{collection.ids()[0]}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "kept_ns": 5 * DAY_NS}))
    assert collect(tmp_path / "c", seen(2), retention_days=1.0).counters.totals() == {}
    assert len(collection.ids()) == 2


def test_without_free_space_nothing_is_kept_and_the_reason_is_reported(tmp_path: Path) -> None:
    collector = collect(tmp_path / "c", seen(1), min_free_megabytes=1e7)
    assert collector.frames == 0
    assert "min_free_megabytes" in str(collector.problem)
    assert collector.counters.totals() == {"could not be stored": 1}


def test_a_full_disk_leaves_a_readable_set_without_the_frame_it_could_not_store(tmp_path: Path) -> None:
    collector = Collector(settings(tmp_path / "c", max_per_hour=1))
    answers: list[str] = []
    done = threading.Event()

    def answered(text: str) -> None:
        answers.append(text)
        done.set()

    with files_of_at_most(1000):
        collector.examine(seen(1))
        collector.request("front", answered)
        collector.examine(seen(2))
        assert done.wait(120)
    assert "the disk is full; free some space" in answers[0]
    assert "the disk is full" in str(collector.problem)
    assert collector.frames == 0
    collector.examine(seen(1))  # neither a duplicate of the frame that was lost, nor over max_per_hour
    collector.close()
    assert collector.problem is None
    (frame,) = Collection.create(tmp_path / "c").frames()
    assert frame.stamp_ns == 101 * SECOND
    assert [path.name for path in (tmp_path / "c" / "images").rglob("*.jpg")] == [Path(frame.image).name]


def test_a_review_that_cannot_be_written_leaves_the_previous_one(tmp_path: Path) -> None:
    collect(tmp_path / "c", seen(1))
    collection = Collection.open(tmp_path / "c")
    (name,) = collection.ids()
    first = collection.save_review(Review(name, REVIEWED, (Box("cat", (1.0, 2.0, 30.0, 40.0)),), "ann"))
    with files_of_at_most(10), pytest.raises(CacheError, match=r"the disk is full; free some space$"):
        collection.save_review(Review(name, REVIEWED, (), "ann", first.revision))
    assert collection.review(name) == first
    assert collection.save_review(Review(name, REVIEWED, (), "ann", first.revision)).boxes == ()


def test_a_killed_collector_leaves_a_readable_set(tmp_path: Path) -> None:
    program = f"""
import sys; sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]!r}
from test_collect_collection import *
collector = Collector(settings(Path({str(tmp_path / "c")!r}), max_per_hour=100000, max_per_rule=100000))
number = 0
while True:
    number += 1
    collector.examine(seen(number))
    if collector.frames > 5: print("going", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    collection = Collection.create(tmp_path / "c")
    frames = list(collection.frames())
    assert len(frames) > 5
    assert all(cv2.imread(str(collection.image_path(frame))) is not None for frame in frames)
    images = {str(path.relative_to(collection.root)) for path in (collection.root / "images").rglob("*.jpg")}
    assert images == {frame.image for frame in frames}


def test_the_budget_counts_by_the_hour_and_never_refuses_a_request() -> None:
    budget = Budget(3, 2)
    for now in (0.0, 1.0):
        budget.spend("novel", now)
    assert "novel" in budget.refusal("novel", 2.0)
    assert budget.refusal("class", 2.0) == ""
    budget.spend("class", 2.0)
    assert "max_per_hour" in budget.refusal("class", 3.0)
    assert budget.refusal("request", 3.0) == ""
    assert budget.refusal("class", 3600.0) == ""


def test_the_least_valuable_are_deleted_first() -> None:
    assert least_valuable([(0.5, 10, "a"), (0.1, 10, "b"), (0.1, 10, "c")], 15) == ["b", "c"]
    assert least_valuable([(0.5, 10, "a")], 0) == []
