"""Which reviewed frames train and which test; collections that cannot be used."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from edgecam_core.collect import coco
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.records import REVIEWED, Box, CollectionError, KeptFrame, Review
from edgecam_core.errors import EdgecamError, SettingError
from edgecam_training.improve.field import reviewed, split
from edgecam_training.improve.judge import missing_data
from field_frames import SECOND, labelled


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Four reviewed frames, the newest kept first."""
    kept = Collection.create(tmp_path / "c")
    for second in (4, 3, 2, 1):
        frame = KeptFrame(f"{9 - second}", f"images/x/{second}.jpg", 64, 48, second * SECOND, "", "x", (), ())
        kept.add(frame, cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes())
        label = "panda" if second % 2 else "owl"
        kept.save_review(Review(frame.id, REVIEWED, (Box(label, (1.0, 1.0, 20.0, 20.0)),)))
    return tmp_path / "c"


def test_neighbouring_frames_stay_on_one_side_and_every_label_is_on_both() -> None:
    images = [
        labelled(moment * 60 + tick / 25, "cat" if moment % 2 else "dog") for moment in range(20) for tick in range(5)
    ]
    train, test = split(images, 0.3, 2.0)
    assert len(train) + len(test) == 100
    moments = [{one.stamp_ns // (60 * SECOND) for one in side} for side in (train, test)]
    assert not moments[0] & moments[1]
    for side in (train, test):
        assert {label for one in side for label in one.labels} == {"cat", "dog"}
    assert 20 <= len(test) <= 40


def test_no_frame_of_a_held_out_camera_is_used_for_training() -> None:
    images = [labelled(minute * 60, "cat", group=camera) for minute in range(9) for camera in ("front", "rear", "yard")]
    train, test = split(images, test_cameras=["yard"])
    assert {one.group for one in test} == {"yard"}
    assert {one.group for one in train} == {"front", "rear"}
    assert len(train) + len(test) == len(images)
    with pytest.raises(
        SettingError, match=r"'test-camera'.*'door'.*cameras with reviewed frames are front, rear, yard"
    ):
        split(images, test_cameras=["door"])


def test_neighbours_are_searched_within_a_camera() -> None:
    images = [labelled(second, "cat", group=camera) for second in range(60) for camera in ("front", "rear")]
    train, test = split(images, 0.3, 2.0)  # each camera is one run: one side each
    assert {one.group for one in train} != {one.group for one in test}
    assert len({one.group for one in train}) == 1


def test_what_is_missing_is_counted() -> None:
    train, test = [labelled(n, "cat") for n in range(3)], [labelled(n + 100, "cat") for n in range(4)]
    text = "; ".join(missing_data(train, test, ["cat"]))
    assert "6 more test frames" in text
    assert "2 more boxes of 'cat' in training frames" in text
    assert "1 more boxes of 'cat' in test frames" in text


def test_a_reviewed_collection_is_read_in_order_of_capture(collection: Path) -> None:
    images = reviewed(collection)
    assert [one.stamp_ns for one in images] == sorted(one.stamp_ns for one in images)
    assert {label for one in images for label in one.labels} == {"panda", "owl"}


def test_an_image_deleted_by_hand_is_named(collection: Path, tmp_path: Path) -> None:
    kept = Collection.open(collection)
    frame = kept.frame(kept.ids()[3])
    kept.image_path(frame).unlink()
    for use in (lambda: reviewed(collection), lambda: coco.merge([collection], tmp_path / "all")):
        with pytest.raises(CollectionError, match=rf"the image of frame {frame.id}, .* no longer exists; put it back"):
            use()


def test_a_folder_that_is_not_a_collection_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgecamError, match=r"collection\.json"):
        reviewed(tmp_path)
