"""The collected data set on disk, and the collector that fills it."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from collected import SECOND, collect, noise, seen, settings
from edgecam_core.collect import coco
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.collector import Collector
from edgecam_core.collect.observation import Observation
from edgecam_core.collect.privacy import blurred
from edgecam_core.collect.records import REVIEWED, SKIPPED, Box, CollectionError, KeptFrame, Review, ReviewConflict
from edgecam_core.types import Detection, Frame


def test_a_kept_frame_has_its_reason_time_and_model(tmp_path: Path) -> None:
    collector = collect(tmp_path / "c", seen(1))
    collection = Collection.open(tmp_path / "c")
    (frame,) = collection.frames()
    assert frame.rules == ({"rule": "uncertain", "value": 0.45},)
    assert (frame.stamp_ns, frame.frame_id, frame.camera) == (101 * SECOND, "lens", "front")
    assert frame.model == {"name": "m", "sha256": "ab"}
    assert frame.proposals == (Box("cat", (10.0, 20.0, 60.0, 80.0), 0.45, "3"),)
    stored = cv2.imread(str(collection.image_path(frame)))
    assert np.abs(stored.astype(int) - noise(1)).mean() < 6
    assert collector.kept == {"uncertain": 1}
    data = json.loads((tmp_path / "c" / "proposals.json").read_text())
    assert data["annotations"][0]["bbox"] == [10, 20, 50, 60]
    assert data["images"][0]["capture_stamp_ns"] == str(101 * SECOND)
    assert json.loads((tmp_path / "c" / "annotations" / "instances_reviewed.json").read_text())["images"] == []


def test_png_is_lossless_and_source_bytes_are_unchanged(tmp_path: Path) -> None:
    collect(tmp_path / "png", seen(1), image_format="png")
    (frame,) = Collection.open(tmp_path / "png").frames()
    assert (cv2.imread(str(tmp_path / "png" / frame.image)) == noise(1)).all()
    encoded = cv2.imencode(".jpg", noise(1))[1].tobytes()
    one = seen(1)
    collect(
        tmp_path / "source", Observation(one.camera, one.frame, one.detections, encoded=encoded), image_format="source"
    )
    (frame,) = Collection.open(tmp_path / "source").frames()
    assert (tmp_path / "source" / frame.image).read_bytes() == encoded


def test_blurred_regions_are_blurred_in_the_stored_file(tmp_path: Path) -> None:
    collect(tmp_path / "c", seen(1), image_format="png", blur=("cat",))
    (frame,) = Collection.open(tmp_path / "c").frames()
    stored = cv2.imread(str(tmp_path / "c" / frame.image))
    assert (stored == blurred(noise(1), seen(1).detections, ["cat"])).all()
    assert (stored != noise(1)).any()


def test_near_duplicates_and_hourly_limits_are_counted(tmp_path: Path) -> None:
    collector = collect(tmp_path / "c", seen(1), seen(1), *(seen(n) for n in range(2, 8)), max_per_hour=4)
    assert collector.frames == 4
    assert collector.counters.totals() == {"near-duplicate": 1, "over max_per_hour": 3}


def test_frames_right_after_a_duplicate_are_duplicates_unless_another_rule_finds_them(tmp_path: Path) -> None:
    def at(milliseconds: int, number: int, label: str) -> Observation:
        frame = Frame.from_array(noise(number), "bgr8", 100 * SECOND + milliseconds * 10**6)
        return Observation("front", frame, (Detection(label, 0, 0.45, (10.0, 20.0, 60.0, 80.0), "3"),))

    looked = [at(0, 1, "cat"), at(100, 1, "cat"), at(200, 2, "cat"), at(400, 3, "dog"), at(700, 4, "dog")]
    collector = collect(tmp_path / "c", *looked, rules=("uncertain", "flicker"), look_rate=2.0)
    kept = sorted(
        (frame.stamp_ns // 10**6 - 100_000, frame.rules[0]["rule"]) for frame in collector.collection.frames()
    )
    assert kept == [(0, "uncertain"), (400, "flicker"), (700, "uncertain")]
    assert collector.counters.totals() == {"near-duplicate": 2}


def test_frames_are_stored_at_low_priority(tmp_path: Path) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    collector = Collector(settings(tmp_path / "c"))
    (thread,) = [one for one in threading.enumerate() if one.name == "collector"]
    stored = threading.Event()
    collector.request("front", lambda _text: stored.set())
    collector.examine(seen(1))
    assert stored.wait(60)
    assert thread.native_id is not None
    assert os.getpriority(os.PRIO_PROCESS, thread.native_id) == max(10, own)
    assert os.getpriority(os.PRIO_PROCESS, 0) == own
    collector.close()


def test_duplicates_are_recognised_after_a_restart(tmp_path: Path) -> None:
    collect(tmp_path / "c", seen(1))
    assert collect(tmp_path / "c", seen(1)).counters.totals() == {"near-duplicate": 1}


def test_a_request_keeps_the_next_frame_unconditionally(tmp_path: Path) -> None:
    collector = Collector(settings(tmp_path / "c", max_per_hour=1))
    collector.examine(seen(1))
    answers: list[str] = []
    answered = threading.Event()

    def done(text: str) -> None:
        answers.append(text)
        answered.set()

    collector.request("front", done)
    collector.examine(seen(2, camera="rear"))
    collector.examine(seen(1, 0.99))
    assert answered.wait(120)
    collector.close()
    frame = Collection.open(tmp_path / "c").frame(answers[0])
    assert frame.rules[0]["rule"] == "request"


def test_two_reviewers_of_one_frame_do_not_overwrite_each_other(tmp_path: Path) -> None:
    collect(tmp_path / "c", seen(1))
    collection = Collection.open(tmp_path / "c")
    (name,) = collection.ids()
    first = collection.save_review(Review(name, REVIEWED, (Box("cat", (1.0, 2.0, 30.0, 40.0)),), "ann"))
    assert first.revision == 1
    with pytest.raises(ReviewConflict, match="ann") as conflict:
        collection.save_review(Review(name, REVIEWED, (), "bob"))
    assert conflict.value.current == first
    assert collection.save_review(Review(name, REVIEWED, (), "bob", first.revision)).revision == 2


def test_reviews_become_coco(tmp_path: Path) -> None:
    collect(tmp_path / "c", seen(1), seen(2), seen(3))
    collection = Collection.open(tmp_path / "c")
    collection.set_classes(["pig"])
    one, two, three = collection.ids()
    collection.save_review(Review(one, REVIEWED, (Box("pig", (1.0, 2.0, 31.0, 42.0)),)))
    collection.save_review(Review(two, REVIEWED))
    collection.save_review(Review(three, SKIPPED))
    coco.write(collection)
    data = json.loads((collection.root / coco.ANNOTATIONS).read_text())
    assert [image["frame"] for image in data["images"]] == [one, two]
    assert [category["name"] for category in data["categories"]] == ["pig", "cat"]
    assert [(item["image_id"], item["category_id"], item["bbox"]) for item in data["annotations"]] == [
        (1, 1, [1.0, 2.0, 30.0, 40.0])
    ]
    assert all((collection.root / "images" / image["file_name"]).is_file() for image in data["images"])


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".hidden", "x" * 300, "a\0b"])
def test_names_from_outside_never_leave_the_folder(tmp_path: Path, name: str) -> None:
    collection = Collection.create(tmp_path / "c")
    with pytest.raises(CollectionError):
        collection.frame(name)


def test_a_frame_file_that_points_outside_is_refused(tmp_path: Path) -> None:
    collection = Collection.create(tmp_path / "c")
    frame = KeptFrame("x", "../../etc/passwd", 1, 1, 1, "", "front", (), ())
    with pytest.raises(CollectionError, match="outside"):
        collection.image_path(frame)


def test_a_folder_with_other_files_is_not_a_collection(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(CollectionError, match="other files"):
        Collection.create(tmp_path)


@pytest.mark.parametrize(
    "row",
    [
        None,
        {},
        {"label": "", "box": [0, 0, 1, 1]},
        {"label": "a", "box": [0, 0, 1]},
        {"label": "a", "box": [5, 5, 5, 9]},
        {"label": "a", "box": [float("nan"), 0, 1, 1]},
        {"label": "a", "box": [200, 0, 300, 10]},
        {"label": "a", "box": ["x", 0, 1, 1]},
        {"label": "a", "box": [0, 0, 9, 9], "score": 7},
    ],
)
def test_impossible_boxes_are_refused(row: object) -> None:
    with pytest.raises(CollectionError):
        Box.parse(row, (100, 100))
