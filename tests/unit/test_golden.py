"""The real default model on real images. Labels and boxes were checked by eye."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.nms import overlaps

ASSETS = Path(__file__).parents[1] / "assets"
MEDIA = Path(__file__).parents[2] / "media"

# Photo -> its label, and the box of the best detection in pixels of the file.
PHOTOS: dict[str, tuple[dict[str, int], tuple[int, int, int, int]]] = {
    "cat": ({"cat": 1}, (124, 83, 628, 354)),
    "chicken": ({"bird": 4}, (29, 84, 136, 331)),
    "cow": ({"cow": 1}, (133, 178, 590, 445)),
    "dog": ({"dog": 1}, (29, 8, 574, 455)),
    "duck": ({"bird": 1}, (74, 117, 516, 541)),
    "giraffe": ({"giraffe": 2}, (378, 62, 565, 397)),
    "horse": ({"horse": 3}, (362, 147, 567, 355)),
    "owl": ({"bird": 1}, (329, 78, 500, 393)),
    "panda": ({"bear": 1}, (125, 41, 542, 384)),
    "polar_bear": ({"bear": 1}, (150, 154, 532, 366)),
    "scarlet_macaw": ({"bird": 1}, (138, 66, 576, 482)),
    "sheep": ({"sheep": 1}, (144, 52, 443, 428)),
}


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.open(DetectorSettings(backend="onnxruntime"))


@pytest.mark.parametrize("photo", PHOTOS)
def test_the_right_animals_in_the_right_place(detector: Detector, photo: str) -> None:
    image = cv2.imread(str(ASSETS / "photos" / f"{photo}.jpg"))
    assert image is not None
    expected, box = PHOTOS[photo]
    found = detector.detect(image)
    assert Counter(item.label for item in found) == expected
    assert found.scores[0] > 0.9
    # The order of nearly equal scores may differ between processors: so any of the detections may match.
    assert overlaps(np.array(box, np.float32), found.boxes).max() > 0.9


def test_the_image_may_have_any_size(detector: Detector) -> None:
    photo = cv2.imread(str(ASSETS / "photos" / "giraffe.jpg"))
    large = cv2.resize(photo, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    small, big = detector.detect(photo), detector.detect(large)
    assert Counter(item.label for item in big) == {"giraffe": 2}
    assert overlaps(small.boxes[0], big.boxes / 3).max() > 0.9


def test_each_segment_of_the_clip_shows_its_animal(detector: Detector) -> None:
    facts = json.loads((MEDIA / "animals.json").read_text())
    clip = cv2.VideoCapture(str(MEDIA / facts["file"]))
    seen: dict[float, Counter[str]] = {segment["start_s"]: Counter() for segment in facts["segments"]}
    frames = 0
    for number in range(10**6):
        if not clip.grab():
            break
        frames += 1
        if number % 5:
            continue
        read, image = clip.retrieve()
        assert read
        segment = next(s for s in facts["segments"] if s["start_s"] <= number / facts["fps"] < s["end_s"])
        seen[segment["start_s"]].update({item.label for item in detector.detect(image)} or {"nothing"})
    assert frames == facts["segments"][-1]["end_s"] * facts["fps"]
    for segment in facts["segments"]:
        assert set(seen[segment["start_s"]]) == {segment["label"]}, segment
        assert seen[segment["start_s"]][segment["label"]] == 15
