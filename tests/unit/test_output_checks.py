"""Outputs that contradict their layout are refused with the reason, not drawn and not silently dropped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from edgecam_core.errors import InferenceError, ModelError
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from tiny_models import fixed_outputs

F = np.float32
IMAGE = np.zeros((200, 400, 3), np.uint8)
INF = float("inf")


def detector(path: Path, outputs: dict[str, np.ndarray], **facts: object) -> Detector:
    facts = {"labels": json.dumps(["cat", "dog"]), **facts}
    settings = DetectorSettings(model=str(fixed_outputs(path / "m.onnx", outputs, facts)), backend="onnxruntime")
    return Detector.open(settings)


def columns(*row: float, others: float = 0.0) -> dict[str, np.ndarray]:
    """A YOLO head with one relevant row; the scores of the others."""
    output = np.zeros((1, 6, 50), F)
    output[0, 4:] = others
    output[0, :, 7] = row
    return {"output0": output}


def finished(*row: float) -> dict[str, np.ndarray]:
    output = np.zeros((1, 300, 6), F)
    output[0, 0] = row
    return {"output0": output}


def tensorflow(box: tuple[float, ...], score: float, number: float, count: float) -> dict[str, np.ndarray]:
    return {
        "detection_boxes": np.array([[box]], F),
        "detection_scores": np.array([[score]], F),
        "detection_classes": np.array([[number]], F),
        "num_detections": np.array([count], F),
    }


def detr(logit: float, box: tuple[float, ...], others: float = -9) -> dict[str, np.ndarray]:
    logits = np.full((1, 5, 2), others, F)
    logits[0, 0, 0] = logit
    return {"logits": logits, "pred_boxes": np.full((1, 5, 4), box, F)}


PLACE = (0.1, 0.2, 0.5, 0.6)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        # The sigmoid is missing: the best logit may or may not look like a probability.
        (columns(50, 50, 20, 10, 0.1, 0.9, others=-4), r"a score of -4\.0, not a probability"),
        (columns(50, 50, 20, 10, -2, 0.3, others=-4), r"a score of -4\.0, not a probability"),
        (columns(50, 50, 20, 10, 0.1, 3), r"a score of 3\.0, not a probability"),
        (columns(50, 50, 20, 10, 0.1, -INF), "a score of -inf, not a probability"),
        (columns(50, 50, 20, 10, 0.1, INF), "not numbers"),
        ({"scores": np.full((1, 5, 3), -1, F), "boxes": np.zeros((1, 5, 4), F)}, r"a score of -1\.0"),
        ({"output0": np.full((1, 2000, 7), -2, F)}, r"a score of -2\.0"),
        # Columns in another order.
        (columns(50, 50, -20, 10, 0.1, 0.9), r"second corner is left of or above the first \(60, 45, 40, 55\)"),
        (finished(60, 55, 40, 45, 0.9, 1), "second corner is left of or above"),
        (finished(50, 45, 20, 10, 0.9, 1), "second corner is left of or above"),
        (finished(40, 45, 60, 55, 1, 0.9), r"class 0\.9, which is not a whole number"),
        (finished(40, 45, 60, 55, 0, 0.9), r"class 0\.9, which is not a whole number"),
        ({"scores": np.full((1, 5, 3), 0.8, F), "boxes": np.full((1, 5, 4), (0.4, 0.4, 0.2, 0.2), F)}, "second corner"),
        # Finished detections that contradict themselves.
        (tensorflow(PLACE, 0.9, 0, 1), r"class 0, but in its layout classes start at 1.*edgecam\.first_class = 0"),
        (tensorflow(PLACE, 0.9, 1.5, 1), r"class 1\.5, which is not a whole number"),
        (tensorflow(PLACE, 0.9, float("nan"), 1), "class nan"),
        (tensorflow(PLACE, 0.9, 1, 5), "5 detections, but its outputs have 1 rows"),
        (tensorflow(PLACE, 0.9, 1, -1), "-1 detections"),
        (tensorflow(PLACE, 0.9, 1, float("nan")), "nan detections"),
        (tensorflow((0.1, INF, 0.5, 0.6), 0.9, 1, 1), "boxes are not numbers"),
        (detr(4, (float("nan"), 0.5, 0.2, 0.1)), "boxes are not numbers"),
        (detr(INF, (0.5, 0.5, 0.2, 0.1)), "scores are not numbers"),
        (detr(0.9, (0.5, 0.5, 0.2, 0.1), others=0.01), r"between 0\.01 and 0\.9, so they are probabilities already"),
        (
            {"boxes": np.ones((1, 4), F), "labels": np.zeros(1, np.int64), "scores": np.ones(1, F)},
            "class 0, but in its",
        ),
    ],
)
def test_outputs_that_contradict_the_layout_are_refused(
    tmp_path: Path, outputs: dict[str, np.ndarray], message: str
) -> None:
    subject = detector(tmp_path, outputs)
    for _ in range(2):  # the detector stays usable
        with pytest.raises(InferenceError, match=message):
            subject.detect(IMAGE)


def test_a_few_inverted_boxes_are_not_a_contradiction(tmp_path: Path) -> None:
    """Heads that regress distances directly, such as YOLO26's, may produce one; it is dropped."""
    outputs = columns(50, 50, -20, 10, 0.1, 0.9)
    outputs["output0"][0, :, 8] = [20, 40, 10, 10, 0.8, 0]
    outputs["output0"][0, :, 9] = [60, 40, 10, 10, 0.7, 0]
    assert [item.score for item in detector(tmp_path, outputs).detect(IMAGE)] == pytest.approx([0.8, 0.7])


def test_rounding_is_not_a_contradiction(tmp_path: Path) -> None:
    outputs = columns(50, 50, 20, 10, 0.1, 1.004, others=-0.004)
    assert len(detector(tmp_path, outputs).detect(IMAGE)) == 1


@pytest.mark.parametrize(("first", "label"), [(0, "dog"), (1, "cat")])
def test_the_number_of_the_first_class_can_be_stated(tmp_path: Path, first: int, label: str) -> None:
    (item,) = detector(tmp_path, tensorflow(PLACE, 0.9, 1, 1), first_class=first).detect(IMAGE)
    assert item.label == label
    with pytest.raises(ModelError, match=r"edgecam\.first_class = 2; it must be 0 or 1"):
        detector(tmp_path, tensorflow(PLACE, 0.9, 1, 1), first_class=2)
