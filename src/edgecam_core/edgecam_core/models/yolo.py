"""YOLO-style heads, as the Ultralytics exporter and YOLOv5-like projects write them.

Four layouts, told apart by their shapes:

* [B, 4 + C, N] (v8 and later): cx cy w h in pixels of the network's input, then C scores;
* [B, N, 5 + C] (v5, v7): cx cy w h, then objectness, then C scores; a score is objectness times class;
* [B, K, 6] with K up to 1000 (v10 and others that need no NMS): x1 y1 x2 y2 score class;
* [B, Q, 4 + C] with Q up to 1000 and C names in the metadata (the Ultralytics exporter's RT-DETR): cx cy w h as
  fractions of the network's input, then C scores; no NMS either.

One output; N is larger than the other size, or free. Input RGB, pixel / 255, letterboxed with grey (RT-DETR:
stretched). Class names and, where the shapes leave it open, the input's size are also found where the Ultralytics
exporter puts them, in the metadata ``names`` and ``imgsz``.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgecam_core.errors import ModelError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models.family import Candidates, Family, check_numbers, image_input
from edgecam_core.models.preprocess import InputSpec

_DEFAULTS = InputSpec("", 0, 0, color="rgb", fit="letterbox")
_OTHER_TASKS = ("segment", "pose", "obb", "classify")
_FINISHED_ROWS = 1000  # v5 has at least 25 times as many rows at any useful size


class YoloFamily(Family):
    """See the module's text. ``layout`` is ``columns``, ``rows``, ``finished`` or ``queries``, as in that text."""

    name = "yolo"

    def __init__(self, spec: InputSpec, columns: int, output: str, layout: str) -> None:
        super().__init__(spec, columns)
        self.needs_nms = layout in ("columns", "rows")
        self._output = output
        self._decode = getattr(self, f"_{layout}")

    @classmethod
    def fits(cls, model: ModelFile) -> bool:
        if model.metadata.get("task") in _OTHER_TASKS:
            return True  # open() says what is wrong with it
        shapes = list(model.outputs.values())
        if len(shapes) != 1 or len(shapes[0]) != 3:
            return False
        _, rows, columns = shapes[0]
        return rows != columns and min(rows or 5, columns or 7) > 4 and (rows is not None or columns != 6)

    @classmethod
    def open(cls, model: ModelFile) -> YoloFamily:
        if (task := model.metadata.get("task")) in _OTHER_TASKS:
            raise ModelError(f"{model.path} is an Ultralytics model of task {task!r}; export one of task 'detect'")
        ((output, (_, rows, columns)),) = model.outputs.items()
        names, defaults = len(cls.labels(model)), _sized(model)
        if columns == 6 and rows is not None and rows <= _FINISHED_ROWS:
            layout, classes = "finished", names or int(model.fact("classes", 0))
        elif rows is not None and rows <= _FINISHED_ROWS and names and columns == 4 + names:
            layout, classes, defaults = "queries", names, replace(defaults, fit="stretch")
        elif columns is None or (rows is not None and rows < columns):
            layout, classes = "columns", (rows or 0) - 4
        else:
            layout, classes = "rows", columns - 5
        if classes < 1:
            remedy = "add the metadata edgecam.labels, a JSON list" if layout == "finished" else model.describe()
            raise ModelError(f"{model.path} does not tell its classes by its output {output!r}: {remedy}")
        return cls(image_input(model, defaults), classes, output, layout)

    @classmethod
    def labels(cls, model: ModelFile) -> tuple[str, ...]:
        names = _literal(model, "names")
        if isinstance(names, dict) and sorted(names) == list(range(len(names))):
            names = [names[number] for number in range(len(names))]
        return super().labels(model) or (tuple(map(str, names)) if isinstance(names, list) else ())

    def candidates(self, outputs: Mapping[str, np.ndarray], index: int, thresholds: np.ndarray) -> Candidates:
        found = outputs[self._output][index].astype(np.float32, copy=False)
        check_numbers(found)
        return self._decode(found, thresholds)

    @staticmethod
    def _columns(found: np.ndarray, thresholds: np.ndarray) -> Candidates:
        classes, places = np.nonzero(found[4:] > thresholds[:, None])
        return Candidates(_corners(found[:4, places].T), found[4 + classes, places], classes)

    @staticmethod
    def _rows(found: np.ndarray, thresholds: np.ndarray) -> Candidates:
        likely = found[found[:, 4] > thresholds.min()]  # a score is never above its objectness
        scores = likely[:, 5:] * likely[:, 4:5]
        rows, classes = np.nonzero(scores > thresholds)
        return Candidates(_corners(likely[rows, :4]), scores[rows, classes], classes)

    def _finished(self, found: np.ndarray, thresholds: np.ndarray) -> Candidates:
        classes = found[:, 5].astype(np.intp)
        known = (classes >= 0) & (classes < self.columns)
        rows = np.flatnonzero(known & (found[:, 4] > thresholds[np.where(known, classes, 0)]))
        return Candidates(found[rows, :4], found[rows, 4], classes[rows])

    def _queries(self, found: np.ndarray, thresholds: np.ndarray) -> Candidates:
        rows, classes = np.nonzero(found[:, 4:] > thresholds)
        size = np.array((self.spec.width, self.spec.height) * 2, np.float32)
        return Candidates(_corners(found[rows, :4]) * size, found[rows, 4 + classes], classes)


def _corners(boxes: np.ndarray) -> np.ndarray:
    """(N, 4) cx cy w h to x1 y1 x2 y2."""
    centers, halves = boxes[:, :2], boxes[:, 2:] / 2
    return np.hstack([centers - halves, centers + halves])


def _literal(model: ModelFile, key: str) -> object:
    """What the Ultralytics exporter wrote there as a Python literal, ``"{0: 'person'}"``; None where it did not."""
    try:
        return ast.literal_eval(model.metadata.get(key, ""))
    except (ValueError, SyntaxError):
        return None


def _sized(model: ModelFile) -> InputSpec:
    """The defaults, with the size an export with free sizes was made for (height first)."""
    size = _literal(model, "imgsz")
    if isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) and side > 0 for side in size):
        return replace(_DEFAULTS, height=size[0], width=size[1])
    return _DEFAULTS
