"""A model as pytorch-ssd's onnx_export.py writes it, compared with an independent implementation.

The network is small and random, but everything around it is real: 3000 priors of the MobileNetV1
configuration, softmax, box decoding in the graph, names and normalisation. The reference below works box by box in
float64, from the formulas of the SSD paper and pytorch-ssd's published constants; it shares no code with edgecam.
"""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from edgecam_core.inference.onnxruntime_runner import cpu_session
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from pytorch_ssd import CLASSES, export, reference_priors


def reference_detections(
    logits: np.ndarray, offsets: np.ndarray, size: tuple[int, int], threshold: float, overlap: float
) -> list[tuple[int, float, tuple[float, ...]]]:
    """Class, score, box in pixels; best first. Boxes are suppressed unclipped, and clipped at the end."""
    candidates = []
    for prior, logit, offset in zip(reference_priors(), logits.tolist(), offsets.tolist(), strict=True):
        cx, cy = prior[0] + offset[0] * 0.1 * prior[2], prior[1] + offset[1] * 0.1 * prior[3]
        w, h = prior[2] * math.exp(offset[2] * 0.2), prior[3] * math.exp(offset[3] * 0.2)
        corners = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
        total = sum(math.exp(value) for value in logit)
        for number in range(1, CLASSES):
            score = math.exp(logit[number]) / total
            if score > threshold:
                candidates.append((number, score, corners))
    kept: list[tuple[int, float, tuple[float, ...]]] = []
    for candidate in sorted(candidates, key=lambda item: -item[1]):
        if all(other[0] != candidate[0] or iou(other[2], candidate[2]) <= overlap for other in kept):
            kept.append(candidate)
    return [(number, score, cut) for number, score, box in kept if has_area(cut := clipped(box, size))]


def clipped(box: tuple[float, ...], size: tuple[int, int]) -> tuple[float, ...]:
    return tuple(min(max(value, 0.0), 1.0) * side for value, side in zip(box, size * 2, strict=True))


def has_area(box: tuple[float, ...]) -> bool:
    return box[2] > box[0] and box[3] > box[1]


def iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    shared = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return shared / (areas - shared)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ssd")
    names = ["BACKGROUND", "Armadillo", "Blue jay", "Rhinoceros", "Sea turtle", "Sparrow", "Whale", "Zebra"]
    (folder / "labels.txt").write_text("\n".join(names) + "\n")
    return export(folder / "mb1-ssd.onnx")


@pytest.mark.parametrize("name", ["giraffe", "horse", "dog"])
def test_boxes_equal_the_reference(model: Path, name: str) -> None:
    photo = cv2.imread(str(Path(__file__).parents[1] / "assets" / "photos" / f"{name}.jpg"))
    threshold, overlap = 0.35, 0.45
    settings = DetectorSettings(
        model=str(model),
        backend="onnxruntime",
        confidence_threshold=threshold,
        nms_threshold=overlap,
        max_detections=1000,
    )
    detector = Detector.open(settings)
    found = detector.detect(photo)
    session = cpu_session(str(model))
    small = cv2.cvtColor(cv2.resize(photo, (300, 300)), cv2.COLOR_BGR2RGB)
    image = ((small.astype(np.float32) - 127) / 128).transpose(2, 0, 1)[None]
    logits, offsets = session.run(["raw_scores", "raw_boxes"], {"input_0": image})
    size = (photo.shape[1], photo.shape[0])
    expected = reference_detections(logits[0], offsets[0], size, threshold, overlap)
    assert len(expected) > 20  # otherwise nothing was compared
    assert len(found) == len(expected)
    assert found.class_ids.tolist() == [number for number, _, _ in expected]
    np.testing.assert_allclose(found.scores, [score for _, score, _ in expected], atol=1e-5)
    np.testing.assert_allclose(found.boxes, [box for _, _, box in expected], atol=0.01)


def test_the_label_file_next_to_it_is_used(model: Path) -> None:
    detector = Detector.open(DetectorSettings(model=str(model), backend="onnxruntime"))
    assert detector.labels[:2] == ("BACKGROUND", "Armadillo")
    assert detector.classes()[-1] == (7, "Zebra")
