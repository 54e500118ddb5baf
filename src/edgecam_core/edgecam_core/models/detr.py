# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""DETR-style heads: a fixed set of queries, each with class logits and one box; needs no non-maximum suppression.

Outputs are ``logits`` or ``pred_logits`` [B, Q, C] and ``boxes`` or ``pred_boxes`` [B, Q, 4], cx cy w h as fractions of
the network's input; RF-DETR calls them ``labels`` and ``dets``. Input RGB, stretched.

The metadata ``edgecam.activation`` is ``softmax`` (DETR: the last column is "no object", one class per query) or
``sigmoid`` (RT-DETR, D-FINE, RF-DETR, Deformable DETR: several classes per query). If it is missing, the number of
labels decides: one column more than labels means "no object". Mean and standard deviation are those of ImageNet, unless
:mod:`edgecam_core.models.detr_input` recognises a network that takes pixel / 255.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgecam_core.errors import ModelError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models.detr_input import IMAGENET, detr_input
from edgecam_core.models.family import Candidates, Family
from edgecam_core.models.image_input import image_input
from edgecam_core.models.output_checks import check_logits
from edgecam_core.models.preprocess import InputSpec
from edgecam_core.models.priors import to_corners

_LOGITS, _BOXES = ("logits", "pred_logits", "labels"), ("boxes", "pred_boxes", "dets")


class DetrFamily(Family):
    """See the module's docstring."""

    name = "detr"
    needs_nms = False
    fractions = True

    def __init__(self, spec: InputSpec, columns: int, logits: str, boxes: str, softmax: bool) -> None:
        super().__init__(spec, columns)
        self._logits, self._boxes, self._softmax = logits, boxes, softmax

    @classmethod
    def fits(cls, model: ModelFile) -> bool:
        logits, boxes = _named(model, _LOGITS), _named(model, _BOXES)
        if not logits or not boxes:
            return False
        scores_shape, boxes_shape = model.outputs[logits], model.outputs[boxes]
        return len(scores_shape) == 3 and len(boxes_shape) == 3 and boxes_shape[2] in (4, None)

    @classmethod
    def open(cls, model: ModelFile, labels: Sequence[str] = ()) -> DetrFamily:
        logits, boxes = _named(model, _LOGITS), _named(model, _BOXES)
        columns = model.outputs[logits][2]
        if columns is None:
            raise ModelError(f"{model.path} leaves the number of classes open ({model.describe()})")
        extra_column = columns == len(labels) + 1
        activation = model.fact("activation", "softmax" if extra_column and boxes != "dets" else "sigmoid")
        if activation not in ("sigmoid", "softmax"):
            raise ModelError(f"{model.path} has edgecam.activation = {activation!r}; it must be sigmoid or softmax")
        softmax = activation == "softmax"
        without_last = softmax or (extra_column and boxes == "dets")  # RF-DETR has one column more than classes
        spec = image_input(model, detr_input(model, IMAGENET))
        return cls(spec, columns - without_last, logits, boxes, softmax)

    def candidates(self, outputs: Mapping[str, np.ndarray], index: int, thresholds: np.ndarray) -> Candidates:
        logits = outputs[self._logits][index].astype(np.float32, copy=False)
        check_logits(logits)
        if self._softmax:
            scores = _softmax(logits)[:, : self.columns]
            rows, classes = np.arange(len(scores)), scores.argmax(axis=1)
            rows = np.flatnonzero(scores[rows, classes] > thresholds[classes])
            classes = classes[rows]
        else:
            scores = 1 / (1 + np.exp(-logits[:, : self.columns].clip(-80, 80)))
            rows, classes = np.nonzero(scores > thresholds)
            best = np.argsort(-scores[rows, classes], kind="stable")[: len(scores)]  # as many as queries
            rows, classes = rows[best], classes[best]
        boxes = outputs[self._boxes][index][rows].astype(np.float32, copy=False)
        return Candidates(to_corners(boxes), scores[rows, classes], classes)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _named(model: ModelFile, names: tuple[str, ...]) -> str:
    return next((name for name in names if name in model.outputs), "")
