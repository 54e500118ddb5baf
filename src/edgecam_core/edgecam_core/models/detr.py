"""DETR-style heads: a fixed set of queries, each with class logits and one box; no suppression is needed.

Outputs ``logits`` or ``pred_logits`` [B, Q, C] and ``boxes`` or ``pred_boxes`` [B, Q, 4], cx cy w h as fractions of the
network's input; RF-DETR calls them ``labels`` and ``dets``.
With metadata ``edgecam.activation`` = ``softmax`` (DETR: the last column is "no object") or ``sigmoid`` (RT-DETR,
Deformable DETR; the default). Input RGB, ImageNet mean and deviation, stretched.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgecam_core.errors import ModelError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models.family import Candidates, Family, check_numbers, image_input
from edgecam_core.models.preprocess import InputSpec

_MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_DEFAULTS = InputSpec("", 0, 0, mean=_MEAN, std=_STD, color="rgb", fit="stretch")
_LOGITS, _BOXES = ("logits", "pred_logits", "labels"), ("boxes", "pred_boxes", "dets")


class DetrFamily(Family):
    """See the module's text."""

    name = "detr"
    needs_nms = False

    def __init__(self, spec: InputSpec, columns: int, logits: str, boxes: str, softmax: bool) -> None:
        super().__init__(spec, columns)
        self._logits, self._boxes, self._softmax = logits, boxes, softmax
        self._size = np.array((spec.width, spec.height) * 2, np.float32)

    @classmethod
    def fits(cls, model: ModelFile) -> bool:
        logits, boxes = _named(model, _LOGITS), _named(model, _BOXES)
        if not logits or not boxes:
            return False
        scores_shape, boxes_shape = model.outputs[logits], model.outputs[boxes]
        return len(scores_shape) == 3 and len(boxes_shape) == 3 and boxes_shape[2] in (4, None)

    @classmethod
    def open(cls, model: ModelFile) -> DetrFamily:
        logits, boxes = _named(model, _LOGITS), _named(model, _BOXES)
        activation = model.fact("activation", "sigmoid")
        if activation not in ("sigmoid", "softmax"):
            raise ModelError(f"{model.path} has edgecam.activation = {activation!r}; it must be sigmoid or softmax")
        columns = model.outputs[logits][2]
        if columns is None:
            raise ModelError(f"{model.path} leaves the number of classes open ({model.describe()})")
        softmax = activation == "softmax"
        return cls(image_input(model, _DEFAULTS), columns - softmax, logits, boxes, softmax)

    def candidates(self, outputs: Mapping[str, np.ndarray], index: int, thresholds: np.ndarray) -> Candidates:
        logits = outputs[self._logits][index].astype(np.float32, copy=False)
        check_numbers(logits)
        scores = _softmax(logits)[:, : self.columns] if self._softmax else 1 / (1 + np.exp(-logits.clip(-80, 80)))
        rows, classes = np.nonzero(scores > thresholds)
        boxes = outputs[self._boxes][index][rows].astype(np.float32, copy=False)
        centers, halves = boxes[:, :2], boxes[:, 2:] / 2
        return Candidates(np.hstack([centers - halves, centers + halves]) * self._size, scores[rows, classes], classes)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _named(model: ModelFile, names: tuple[str, ...]) -> str:
    return next((name for name in names if name in model.outputs), "")
