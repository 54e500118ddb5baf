"""YOLO-style heads, as the Ultralytics exporter and YOLOv5-like projects write them.

Three layouts, told apart by their shapes:

* [B, 4 + C, N] (v8 and later): cx cy w h in pixels of the network's input, then C scores;
* [B, N, 5 + C] (v5, v7): cx cy w h, then objectness, then C scores; a score is objectness times class;
* [B, K, 6] with K up to 1000 (v10 and others that need no NMS): x1 y1 x2 y2 score class.

One output; N is larger than the other size. Input RGB, pixel / 255, letterboxed with grey. Class names are also
found where the Ultralytics exporter puts them, in the metadata ``names``.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

import numpy as np

from edgecam_core.errors import ModelError
from edgecam_core.models.family import Candidates, Family, check_numbers, image_input
from edgecam_core.models.model_file import ModelFile
from edgecam_core.models.preprocess import InputSpec

_DEFAULTS = InputSpec("", 0, 0, color="rgb", fit="letterbox")


_FINISHED_ROWS = 1000  # v5 has at least 25 times as many rows at any useful size


class YoloFamily(Family):
    """See the module's text. ``layout`` is ``columns``, ``rows`` or ``finished``, in the order of that text."""

    name = "yolo"

    def __init__(self, spec: InputSpec, columns: int, output: str, layout: str) -> None:
        super().__init__(spec, columns)
        self.needs_nms = layout != "finished"
        self._output = output
        self._decode = {"columns": self._columns, "rows": self._rows, "finished": self._finished}[layout]

    @classmethod
    def fits(cls, model: ModelFile) -> bool:
        shapes = list(model.outputs.values())
        if len(shapes) != 1 or len(shapes[0]) != 3:
            return False
        _, rows, columns = shapes[0]
        return rows is not None and columns is not None and min(rows, columns) > 4 and rows != columns

    @classmethod
    def open(cls, model: ModelFile) -> YoloFamily:
        ((output, (_, rows, columns)),) = model.outputs.items()
        rows, columns = rows or 0, columns or 0
        if columns == 6 and rows <= _FINISHED_ROWS:
            layout, classes = "finished", len(cls.labels(model)) or int(model.fact("classes", 0))
        elif rows < columns:
            layout, classes = "columns", rows - 4
        else:
            layout, classes = "rows", columns - 5
        if classes < 1:
            remedy = "add the metadata edgecam.labels, a JSON list" if layout == "finished" else model.describe()
            raise ModelError(f"{model.path} does not tell its classes by its output {output!r}: {remedy}")
        return cls(image_input(model, _DEFAULTS), classes, output, layout)

    @classmethod
    def labels(cls, model: ModelFile) -> tuple[str, ...]:
        return super().labels(model) or _ultralytics_names(model.metadata.get("names", ""))

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


def _corners(boxes: np.ndarray) -> np.ndarray:
    """(N, 4) cx cy w h to x1 y1 x2 y2."""
    centers, halves = boxes[:, :2], boxes[:, 2:] / 2
    return np.hstack([centers - halves, centers + halves])


def _ultralytics_names(text: str) -> tuple[str, ...]:
    """``"{0: 'person', 1: 'bicycle'}"`` to the names in order; nothing where it is not of that form."""
    try:
        names = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return ()
    if not isinstance(names, dict) or sorted(names) != list(range(len(names))):
        return ()
    return tuple(str(names[number]) for number in range(len(names)))
