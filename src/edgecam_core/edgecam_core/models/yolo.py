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

"""YOLO-style heads of the Ultralytics exporter and YOLOv5-like projects; ``yolo_layout`` lists the five output layouts.

One output. Input RGB, pixel / 255, letterboxed with grey (RT-DETR: stretched). Class names and an open input size are
also read from the metadata of the Ultralytics exporter, ``names`` and ``imgsz``. As in Ultralytics' own prediction, an
anchor has one class, its best.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgecam_core.errors import InferenceError, ModelError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models.family import Candidates, Family
from edgecam_core.models.image_input import image_input
from edgecam_core.models.labels import metadata_labels, score_columns
from edgecam_core.models.output_checks import check_numbers, check_probabilities, check_whole, class_numbers
from edgecam_core.models.preprocess import InputSpec
from edgecam_core.models.priors import to_corners
from edgecam_core.models.yolo_layout import YoloHead, recognise

_DEFAULTS = InputSpec("", 0, 0, color="rgb")
_OTHER_TASKS = ("segment", "pose", "obb", "classify", "semantic", "depth")


class YoloFamily(Family):
    """See the module's docstring."""

    name = "yolo"

    def __init__(self, spec: InputSpec, head: YoloHead, output: str) -> None:
        super().__init__(spec, head.classes)
        self.needs_nms = head.layout in ("columns", "rows")
        self.fractions = head.layout in ("queries", "ranked")
        self._output = output
        self._layout = head.layout

    @classmethod
    def fits(cls, model: ModelFile) -> bool:
        if model.metadata.get("task") in _OTHER_TASKS:
            return True  # open() explains the refusal
        shapes = list(model.outputs.values())
        if len(shapes) != 1 or len(shapes[0]) != 3:
            return False
        _, rows, columns = shapes[0]
        if rows is None and columns is None:
            return "task" in model.metadata or model.fact("layout") is not None
        return rows != columns and min(rows or 5, columns or 7) > 4

    @classmethod
    def open(cls, model: ModelFile, labels: Sequence[str] = ()) -> YoloFamily:
        if (task := model.metadata.get("task")) in _OTHER_TASKS:
            raise ModelError(f"{model.path} is an Ultralytics model of task {task!r}; export one of task 'detect'")
        (output,) = model.outputs
        head = recognise(model, output, len(metadata_labels(model)))
        if head.classes < 1:
            head = replace(head, classes=score_columns(labels, has_background=False))
        if head.classes < 1:
            raise ModelError(
                f"{model.path} does not state how many classes it has; set the parameter 'labels' to a file "
                "with one label per line, or add the metadata edgecam.labels, a JSON list"
            )
        height, width = stated = _stated_size(model)
        fit = "stretch" if head.layout in ("queries", "ranked") else "letterbox"
        spec = image_input(model, replace(_DEFAULTS, height=height, width=width, fit=fit))
        if height and (spec.height, spec.width) != stated:
            raise ModelError(
                f"{model.path} is for images of {width}x{height} by its metadata 'imgsz' (height first), but its input "
                f"{spec.name!r} is {spec.width}x{spec.height}; export it again, or correct or remove 'imgsz'"
            )
        return cls(replace(spec, stride=_stride(model, spec)), head, output)

    def candidates(self, outputs: Mapping[str, np.ndarray], index: int, thresholds: np.ndarray) -> Candidates:
        found = outputs[self._output][index].astype(np.float32, copy=False)
        check_numbers(found)
        if self._layout in ("finished", "ranked"):
            return self._listed(found, thresholds)
        if self._layout == "columns":
            check_probabilities(found[4:])
            boxes, scores = found[:4].T, found[4:].T
        elif self._layout == "rows":
            check_probabilities(found[:, 4:])
            likely = found[found[:, 4] > thresholds.min()]  # a score is never above its objectness
            boxes, scores = likely[:, :4], likely[:, 5:] * likely[:, 4:5]
        else:
            check_probabilities(found[:, 4:])
            boxes, scores = found[:, :4], found[:, 4:]
        if scores.shape[1] != self.columns:
            raise InferenceError(f"the model returns {scores.shape[1]} scores per box, but has {self.columns} classes")
        return _best(boxes, scores, thresholds)

    def _listed(self, found: np.ndarray, thresholds: np.ndarray) -> Candidates:
        """Candidates of rows (box, score, class number)."""
        check_whole(found[:, 5])  # all rows: with score and class exchanged, none may be above the threshold
        likely = found[found[:, 4] > thresholds.min()]
        classes = class_numbers(likely[:, 5], self.columns)
        kept = likely[:, 4] > thresholds[classes]
        boxes = likely[kept, :4]
        return Candidates(to_corners(boxes) if self._layout == "ranked" else boxes, likely[kept, 4], classes[kept])


def _best(boxes: np.ndarray, scores: np.ndarray, thresholds: np.ndarray) -> Candidates:
    """Candidates of boxes (N, 4) cx cy w h and scores (N, C): the best class of each box, if above its threshold."""
    classes = scores.argmax(axis=1)
    best = np.take_along_axis(scores, classes[:, None], axis=1)[:, 0]
    kept = np.flatnonzero(best > thresholds[classes])
    return Candidates(to_corners(boxes[kept]), best[kept], classes[kept])


def _stride(model: ModelFile, spec: InputSpec) -> int:
    """The padding unit of an Ultralytics export with open input size; 0 for other models.

    With an open size, Ultralytics' prediction pads an image only to the next multiple of the stride.
    """
    text = model.metadata.get("stride", "")
    height, width = model.inputs[spec.name][2:4]
    open_size = spec.layout == "nchw" and height is None and width is None
    return int(text) if open_size and text.isdecimal() and spec.fit == "letterbox" else 0


def _stated_size(model: ModelFile) -> tuple[int, int]:
    """Height and width in the metadata ``imgsz`` of Ultralytics' exporter; zeros without it.

    Raises:
        ModelError: ``imgsz`` is damaged.
    """
    text = model.metadata.get("imgsz")
    if text is None:
        return 0, 0
    try:
        size = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        size = None
    if not (isinstance(size, list) and len(size) == 2 and all(type(side) is int and side > 0 for side in size)):
        raise ModelError(f"the metadata 'imgsz' of {model.path} is {text!r}, not a list [height, width]")
    return size[0], size[1]
