"""A model as pytorch-ssd's onnx_export.py writes it, decoded beside an independent implementation.

The network is small and random, but everything around it is the real thing: 3000 priors of the MobileNetV1
configuration, softmax, box decoding in the graph, names and normalisation. The reference below works box by box in
float64, from the formulas of the SSD paper and pytorch-ssd's published constants; it shares no code with edgecam.
"""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from onnx import TensorProto, helper, numpy_helper
from tiny_models import save

CLASSES = 8
LEVELS = [(19, 16, 60, 105), (10, 32, 105, 150), (5, 64, 150, 195), (3, 100, 195, 240), (2, 150, 240, 285)]
LEVELS += [(1, 300, 285, 330)]


def reference_priors() -> list[tuple[float, float, float, float]]:
    """cx cy w h, clipped to 0..1; six a cell: small and large square, then ratios 2 and 3 both ways."""
    priors = []
    for cells, shrinkage, low, high in LEVELS:
        scale = 300 / shrinkage
        for row in range(cells):
            for column in range(cells):
                cx, cy = (column + 0.5) / scale, (row + 0.5) / scale
                priors.append((cx, cy, low / 300, low / 300))
                priors.append((cx, cy, math.sqrt(low * high) / 300, math.sqrt(low * high) / 300))
                for ratio in (2, 3):
                    priors.append((cx, cy, low / 300 * math.sqrt(ratio), low / 300 / math.sqrt(ratio)))
                    priors.append((cx, cy, low / 300 / math.sqrt(ratio), low / 300 * math.sqrt(ratio)))
    return [tuple(min(max(value, 0.0), 1.0) for value in prior) for prior in priors]  # type: ignore[misc]


def export(path: Path) -> Path:
    """Like onnx_export.py: ``input_0`` to ``scores`` and ``boxes``; also ``raw_*``, what the reference starts from."""
    random = np.random.default_rng(3)
    weights: dict[str, np.ndarray] = {}
    nodes = []
    confidences, locations = [], []
    for number, (cells, *_) in enumerate(LEVELS):
        # One convolution per level straight from the picture; stride and kernel make it cells x cells.
        stride = 300 // cells
        kernel = 300 - stride * (cells - 1)
        for kind, columns, spread in (("conf", CLASSES, 0.9), ("loc", 4, 0.6)):
            shape = (6 * columns, 3, kernel, kernel)
            weights[f"w_{kind}{number}"] = (random.normal(0, spread / kernel, shape)).astype(np.float32)
            nodes.append(
                helper.make_node("Conv", ["input_0", f"w_{kind}{number}"], [f"{kind}{number}"], strides=[stride] * 2)
            )
            nodes.append(helper.make_node("Transpose", [f"{kind}{number}"], [f"{kind}t{number}"], perm=[0, 2, 3, 1]))
            nodes.append(helper.make_node("Reshape", [f"{kind}t{number}", f"to_{kind}"], [f"{kind}r{number}"]))
        confidences.append(f"confr{number}")
        locations.append(f"locr{number}")
    priors = np.array(reference_priors(), np.float32)[None]
    weights |= {"p_center": priors[..., :2], "p_size": priors[..., 2:]}
    weights |= {"to_conf": np.array([1, -1, CLASSES]), "to_loc": np.array([1, -1, 4])}
    weights |= {"cv": np.array(0.1, np.float32), "sv": np.array(0.2, np.float32), "two": np.array(2, np.float32)}
    weights |= {"halves": np.array([2, 2])}
    nodes += [
        helper.make_node("Concat", confidences, ["raw_scores"], axis=1),
        helper.make_node("Softmax", ["raw_scores"], ["scores"], axis=2),
        helper.make_node("Concat", locations, ["raw_boxes"], axis=1),
        helper.make_node("Split", ["raw_boxes", "halves"], ["l_center", "l_size"], axis=2),
        helper.make_node("Mul", ["l_center", "cv"], ["a"]),
        helper.make_node("Mul", ["a", "p_size"], ["b"]),
        helper.make_node("Add", ["b", "p_center"], ["center"]),
        helper.make_node("Mul", ["l_size", "sv"], ["c"]),
        helper.make_node("Exp", ["c"], ["d"]),
        helper.make_node("Mul", ["d", "p_size"], ["size"]),
        helper.make_node("Div", ["size", "two"], ["half"]),
        helper.make_node("Sub", ["center", "half"], ["low"]),
        helper.make_node("Add", ["center", "half"], ["high"]),
        helper.make_node("Concat", ["low", "high"], ["boxes"], axis=2),
    ]
    told = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3000, columns])
        for name, columns in (("scores", CLASSES), ("boxes", 4), ("raw_scores", CLASSES), ("raw_boxes", 4))
    ]
    picture = helper.make_tensor_value_info("input_0", TensorProto.FLOAT, [1, 3, 300, 300])
    tensors = [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in weights.items()]
    return save(helper.make_graph(nodes, "ssd", [picture], told, tensors), path, {})


def reference_detections(
    logits: np.ndarray, offsets: np.ndarray, size: tuple[int, int], threshold: float, overlap: float
) -> list[tuple[int, float, tuple[float, ...]]]:
    """Class, score, box in pixels; best first."""
    candidates = []
    for prior, logit, offset in zip(reference_priors(), logits.tolist(), offsets.tolist(), strict=True):
        cx, cy = prior[0] + offset[0] * 0.1 * prior[2], prior[1] + offset[1] * 0.1 * prior[3]
        w, h = prior[2] * math.exp(offset[2] * 0.2), prior[3] * math.exp(offset[3] * 0.2)
        corners = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
        box = tuple(min(max(value, 0.0), 1.0) * side for value, side in zip(corners, size * 2, strict=True))
        total = sum(math.exp(value) for value in logit)
        for number in range(1, CLASSES):
            score = math.exp(logit[number]) / total
            if score > threshold and box[2] > box[0] and box[3] > box[1]:
                candidates.append((number, score, box))
    kept: list[tuple[int, float, tuple[float, ...]]] = []
    for candidate in sorted(candidates, key=lambda item: -item[1]):
        if all(other[0] != candidate[0] or iou(other[2], candidate[2]) <= overlap for other in kept):
            kept.append(candidate)
    return kept


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
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    small = cv2.cvtColor(cv2.resize(photo, (300, 300)), cv2.COLOR_BGR2RGB)
    picture = ((small.astype(np.float32) - 127) / 128).transpose(2, 0, 1)[None]
    logits, offsets = session.run(["raw_scores", "raw_boxes"], {"input_0": picture})
    size = (photo.shape[1], photo.shape[0])
    wanted = reference_detections(logits[0], offsets[0], size, threshold, overlap)
    assert len(wanted) > 20  # else nothing was compared
    assert len(found) == len(wanted)
    assert found.class_ids.tolist() == [number for number, _, _ in wanted]
    np.testing.assert_allclose(found.scores, [score for _, score, _ in wanted], atol=1e-5)
    np.testing.assert_allclose(found.boxes, [box for _, _, box in wanted], atol=0.01)


def test_the_label_file_beside_it_is_used(model: Path) -> None:
    detector = Detector.open(DetectorSettings(model=str(model), backend="onnxruntime"))
    assert detector.labels[:2] == ("BACKGROUND", "Armadillo")
    assert detector.classes()[-1] == (7, "Zebra")
