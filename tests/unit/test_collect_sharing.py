"""Collections with several sources: merged, shared by collectors, and across a clock that steps back."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from edgecam_core.collect import coco
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.collector import Collector
from edgecam_core.collect.records import REVIEWED, Box, CollectionError, Review
from edgecam_core.types import Frame
from test_collect_collection import SECOND, collect, noise, seen, settings


def test_collections_are_merged(tmp_path: Path) -> None:
    collect(tmp_path / "a", seen(1), seen(2))
    collect(tmp_path / "b", seen(3, camera="rear"))
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    copy = Collection.open(tmp_path / "copy")
    copy.save_review(Review(copy.ids()[0], REVIEWED, (Box("cat", (1.0, 1.0, 9.0, 9.0)),)))
    counts = coco.merge([tmp_path / "a", tmp_path / "b", tmp_path / "copy"], tmp_path / "all")
    assert counts == {"added": 3, "present": 2, "reviews": 1}
    merged = Collection.open(tmp_path / "all")
    assert len(merged.ids()) == 3
    assert len(list(merged.reviews())) == 1
    with pytest.raises(CollectionError, match="one of the sources"):
        coco.merge([tmp_path / "a"], tmp_path / "a")


def test_the_command_merges_and_training_reads_the_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from edgecam_core.cli.main import main
    from edgecam_training.data.loading import load

    collect(tmp_path / "a", seen(1))
    collect(tmp_path / "b", seen(2))
    for name in ("a", "b"):
        one = Collection.open(tmp_path / name)
        one.save_review(Review(one.ids()[0], REVIEWED, (Box("cat", (1.0, 1.0, 90.0, 90.0)),)))
    words = ["dataset", "merge", str(tmp_path / "a"), str(tmp_path / "b"), "--output", str(tmp_path / "all")]
    assert main(words) == 0
    assert "2 frames added" in capsys.readouterr().out
    dataset = load(tmp_path / "all")
    assert dataset.classes == ("cat",)
    assert [sample.boxes.tolist() for sample in dataset.samples] == [[[1, 1, 90, 90]]] * 2


def test_a_clock_that_steps_back_loses_no_frame_and_adds_no_budget(tmp_path: Path) -> None:
    now = [0.0]
    collector = Collector(settings(tmp_path / "c", max_per_hour=4), lambda: now[0])
    for number in (5000, 5001, 1400, 1401, 1402):  # an hour back in the middle
        collector.examine(seen(number))
    now[0] = 3600.0
    collector.examine(seen(1403))
    collector.close()
    assert collector.counters.totals() == {"over max_per_hour": 1}
    frames = list(Collection.open(tmp_path / "c").frames())
    assert [frame.stamp_ns // SECOND - 100 for frame in frames] == [1400, 1401, 1403, 5000, 5001]  # in order of capture
    assert len({frame.image for frame in frames}) == 5


def test_the_same_stamp_twice_keeps_both_frames(tmp_path: Path) -> None:
    """After the clock stepped back, or from two cameras of one name."""
    again = replace(seen(2), frame=Frame.from_array(noise(2), "bgr8", seen(1).stamp_ns, "lens"))
    collect(tmp_path / "c", seen(1), again)
    collection = Collection.open(tmp_path / "c")
    assert [frame.stamp_ns for frame in collection.frames()] == [seen(1).stamp_ns] * 2
    images = [cv2.imread(str(collection.stored_image(frame))) for frame in collection.frames()]
    matches = [[np.abs(image.astype(int) - noise(n)).mean() < 6 for n in (1, 2)] for image in images]
    assert sorted(matches) == [[False, True], [True, False]]


def test_two_cameras_of_one_name_are_merged_without_loss(tmp_path: Path) -> None:
    collect(tmp_path / "hall", seen(1), seen(2))
    other = replace(seen(7), frame=Frame.from_array(noise(7), "bgr8", seen(1).stamp_ns, "lens"))
    collect(tmp_path / "yard", other)
    for name in ("hall", "yard"):
        one = Collection.open(tmp_path / name)
        one.save_review(Review(one.ids()[0], REVIEWED, (Box(name, (1.0, 1.0, 9.0, 9.0)),)))
    counts = coco.merge([tmp_path / "hall", tmp_path / "yard"], tmp_path / "all")
    assert counts == {"added": 3, "present": 0, "reviews": 2}
    merged = Collection.open(tmp_path / "all")
    assert sorted(review.boxes[0].label for review in merged.reviews()) == ["hall", "yard"]
    (yard,) = (review.id for review in merged.reviews() if review.boxes[0].label == "yard")
    stored = cv2.imread(str(merged.stored_image(merged.frame(yard))))
    assert np.abs(stored.astype(int) - noise(7)).mean() < 6


def test_a_collector_that_starts_leaves_another_ones_unfinished_frame_alone(tmp_path: Path) -> None:
    first = Collection.create(tmp_path / "c")
    image = tmp_path / "c" / "images" / "front" / "1.jpg"  # written; its frame's file is about to be
    image.parent.mkdir()
    image.touch()
    second = Collection.create(tmp_path / "c")
    assert image.exists()
    first.close()
    second.close()
    Collection.create(tmp_path / "c").close()
    assert not image.exists()


def test_two_collectors_of_one_folder_keep_all_their_frames(tmp_path: Path) -> None:
    first, second = Collector(settings(tmp_path / "c")), Collector(settings(tmp_path / "c"))
    for number in range(3):
        first.examine(seen(number))
        second.examine(seen(10 + number))
    first.close()
    second.close()
    collection = Collection.open(tmp_path / "c")
    assert len(collection.ids()) == 6
    assert all(collection.stored_image(frame).is_file() for frame in collection.frames())


def test_max_megabytes_is_the_limit_of_the_folder(tmp_path: Path) -> None:
    first = Collector(settings(tmp_path / "c"))
    collect(tmp_path / "c", *(seen(number) for number in range(3)))  # by a second collector, after the first started
    collection = Collection.open(tmp_path / "c")
    before = collection.ids()
    assert len(before) == 3
    object.__setattr__(first.settings, "max_megabytes", sum(frame.bytes for frame in collection.frames()) / 1e6)
    first.examine(seen(10))
    first.close()
    assert first.counters.totals()["deleted to make room"] >= 1
    left = collection.ids()
    assert len(left) == first.frames  # the frames of both
    assert any(name not in before for name in left)
    assert sum(frame.bytes for frame in collection.frames()) <= first.settings.max_megabytes * 1e6
