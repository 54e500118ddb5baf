"""AP against pycocotools, an independent implementation, and against cases calculated by hand."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import torch
from edgecam_training.evaluate.metrics import Found, GroundTruth, score
from edgecam_training.train.validate import choose
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchvision.ops import batched_nms


def _random(seed: int, crowds: bool) -> tuple[list[Found], list[GroundTruth]]:
    chance = np.random.default_rng(seed)
    found, truth = [], []
    for _ in range(20):
        count = int(chance.integers(0, 6))
        corner, size = chance.uniform(0, 60, (count, 2)), chance.uniform(8, 40, (count, 2))
        boxes, classes = np.concatenate([corner, corner + size], 1), chance.integers(0, 3, count)
        difficult = (chance.random(count) < 0.2) & crowds
        truth.append(GroundTruth(boxes, classes, difficult))
        copies = np.repeat(np.arange(count), 2)
        moved = boxes[copies] + chance.normal(0, 3, (len(copies), 4))
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        labels = np.where(chance.random(len(copies)) < 0.8, classes[copies], chance.integers(0, 3, len(copies)))
        found.append(Found(moved, chance.random(len(copies)), labels))
    return found, truth


def _coco_ap(found: list[Found], truth: list[GroundTruth]) -> np.ndarray:
    annotations, detections = [], []
    for number, real in enumerate(truth):
        for (x1, y1, x2, y2), label, crowd in zip(real.boxes, real.classes, real.difficult, strict=True):
            box = [x1, y1, x2 - x1, y2 - y1]
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": int(label), "bbox": box,
                 "area": box[2] * box[3], "iscrowd": int(crowd)}
            )  # fmt: skip
        seen = found[number]
        for (x1, y1, x2, y2), value, label in zip(seen.boxes, seen.scores, seen.classes, strict=True):
            box = [x1, y1, x2 - x1, y2 - y1]
            detections.append({"image_id": number, "category_id": int(label), "bbox": box, "score": value})
    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO()
        data.dataset = {
            "images": [{"id": i} for i in range(len(truth))], "annotations": annotations,
            "categories": [{"id": i} for i in range(3)], "info": {},
        }  # fmt: skip
        data.createIndex()
        judge = COCOeval(data, data.loadRes(detections), "bbox")
        judge.evaluate()
        judge.accumulate()
    return judge.eval["precision"][:, :, :, 0, 2].mean(axis=(0, 1))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("crowds", [False, True])
def test_coco_map_is_that_of_pycocotools(seed: int, crowds: bool) -> None:
    found, truth = _random(seed, crowds)
    np.testing.assert_allclose(score(found, truth, 3).coco, _coco_ap(found, truth), atol=1e-9)


def _one(boxes: list[tuple[float, ...]], scores: list[float]) -> Found:
    return Found(np.array(boxes, float).reshape(-1, 4), np.array(scores), np.zeros(len(scores), int))


def test_voc_ap_by_hand() -> None:
    box, far = (0, 0, 10, 10), (50, 50, 60, 60)
    truth = [GroundTruth(np.array([box, far], float), np.zeros(2, int), np.zeros(2, bool))]
    # Right at .9, the same again at .8 (false), the other at .7: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1.
    result = score([_one([box, box, far], [0.9, 0.8, 0.7])], truth, 1)
    assert result.voc[0] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert result.voc07[0] == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)


def test_difficult_boxes_are_neither_required_nor_false_positives() -> None:
    box, far = (0, 0, 10, 10), (50, 50, 60, 60)
    truth = [GroundTruth(np.array([box, far], float), np.zeros(2, int), np.array([False, True]))]
    result = score([_one([far, box], [0.9, 0.8])], truth, 1)
    assert result.voc[0] == pytest.approx(1.0)
    assert result.boxes[0] == 1


def test_a_class_without_boxes_has_no_ap_instead_of_zero() -> None:
    truth = [GroundTruth(np.array([[0, 0, 10, 10]], float), np.zeros(1, int), np.zeros(1, bool))]
    result = score([_one([(0, 0, 10, 10)], [0.9])], truth, 2)
    assert np.isnan(result.voc[1])
    assert result.map50 == pytest.approx(1.0)


def test_suppressing_a_batch_equals_suppressing_each_image() -> None:
    torch.manual_seed(0)
    scores = (torch.randn(5, 300, 4) * 3).softmax(dim=2)
    scores[3, :, 1:] = 0.0  # an image without detections
    corner = torch.rand(5, 300, 2) * 0.7
    boxes = torch.cat([corner, corner + 0.05 + 0.25 * torch.rand(5, 300, 2)], dim=2)
    sizes = [(100 + 10 * n, 80) for n in range(5)]
    for row, found in enumerate(choose(scores, boxes, sizes)):
        flat = scores[row, :, 1:].flatten()
        best, place = flat.topk(400)
        place, best = place[best > 0.01], best[best > 0.01]
        prior, label = place // 3, place % 3
        kept = batched_nms(boxes[row][prior], best, label, 0.5)[:100]
        np.testing.assert_array_equal(found.classes, label[kept].numpy())
        np.testing.assert_array_equal(found.scores, best[kept].numpy())
        np.testing.assert_allclose(found.boxes, boxes[row][prior[kept]].numpy() * np.array(sizes[row] * 2), rtol=1e-6)
    assert len(found.scores) == 100
