"""Reviewed frames of animals: two that the default model knows no label for, two that it knows, without any box."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.records import REVIEWED, Box, KeptFrame, Review
from edgecam_core.models import zoo
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_training.improve.field import LabelledImage

PHOTOS = Path(__file__).resolve().parents[1] / "assets" / "photos"
SECOND = 1_000_000_000
NEW = ("panda", "owl")  # photos, and labels that the default model lacks


def default_model() -> Path:
    """The default model's file; skips the test where it cannot be fetched."""
    try:
        return zoo.fetch()
    except zoo.FetchError as error:
        pytest.skip(f"needs the default model: {error}")


def silent(_text: str) -> None:
    """Progress that nobody reads."""


def boxes_of(detector: Detector, pixels: np.ndarray) -> list[tuple[float, float, float, float]]:
    """The live model's box of the animal, with any label."""
    found = sorted(detector.detect(pixels), key=lambda one: -one.score)
    return [found[0].box] if found else []


def crops(photo: str, count: int) -> list[np.ndarray]:
    """Random crops of a photo, 320x240."""
    image = cv2.imread(str(PHOTOS / f"{photo}.jpg"))
    assert image is not None
    height, width = image.shape[:2]
    chance = np.random.default_rng(3)
    made = []
    for _ in range(count):
        share = chance.uniform(0.85, 1.0)
        w, h = round(width * share), round(height * share)
        left, top = round(chance.uniform(0, width - w)), round(chance.uniform(0, height - h))
        made.append(cv2.resize(image[top : top + h, left : left + w], (320, 240)))
    return made


def collect(root: Path, model: Path, **counts: int) -> Path:
    """A collection with this many reviewed frames of each photo, ten seconds apart."""
    kept = Collection.create(root)
    detector = Detector.open(DetectorSettings(model=str(model), confidence_threshold=0.3, backend="onnxruntime"))
    number = 0
    for photo, count in counts.items():
        for pixels in crops(photo, count):
            number += 1
            name = f"{number:04d}"
            stamp, rules = number * 10 * SECOND, ({"rule": "novel", "value": 20},)
            frame = KeptFrame(name, f"images/front/{name}.jpg", 320, 240, stamp, "lens", "front", rules, ())
            kept.add(frame, cv2.imencode(".jpg", pixels)[1].tobytes())
            boxes = [Box(photo, box) for box in boxes_of(detector, pixels)] if photo in NEW else []
            kept.save_review(Review(frame.id, REVIEWED, tuple(boxes), "test"))
    detector.close()
    return root


def copy(collection: Path, folder: Path) -> Path:
    """A copy of a collection, to be changed."""
    kept, source = Collection.create(folder), Collection.open(collection)
    for name in source.ids():
        frame, review = source.frame(name), source.review(name)
        assert review is not None
        kept.add(frame, source.image_path(frame).read_bytes())
        kept.save_review(Review(name, REVIEWED, review.boxes))
    return folder


def labelled(stamp: float, *labels: str, group: str = "front") -> LabelledImage:
    """A labelled image of a camera at a time in seconds; its file does not exist."""
    boxes = np.array([[0, 0, 10, 10]] * len(labels), np.float32).reshape(-1, 4)
    return LabelledImage(Path(f"{group}-{stamp}.jpg"), boxes, labels, group, round(stamp * SECOND))
