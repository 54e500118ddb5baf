"""Models that suppress duplicates in their own graph and give finished detections.

Told apart by their outputs' names:

* ``detection_boxes`` [B, K, 4] (y1 x1 y2 x2, fractions), ``detection_scores``, ``detection_classes`` [B, K]: what
  TensorFlow's object detection API exports; classes count from 1, the background is 0;
* ``boxes`` [K, 4] (x1 y1 x2 y2, pixels of the input), ``scores`` [K], ``labels`` [K]: what torchvision's detectors
  export, for one image; the same convention of classes;
* ``num_dets``, ``det_boxes`` [B, K, 4] (pixels), ``det_scores``, ``det_classes`` [B, K]: TensorRT's EfficientNMS,
  classes count from 0.

Input RGB, pixel / 255 unless the metadata says otherwise. The number of classes comes from the labels in the
metadata (``edgecam.labels``) or from ``edgecam.classes``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgecam_core.errors import ModelError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models.family import Candidates, Family, check_numbers, image_input
from edgecam_core.models.preprocess import InputSpec

_DEFAULTS = InputSpec("", 0, 0, color="rgb", fit="stretch")


@dataclass(frozen=True)
class Layout:
    """Names of the outputs and what they hold."""

    boxes: str
    scores: str
    classes: str
    batched: bool
    fractions: bool
    y_first: bool
    has_background: bool


LAYOUTS = (
    Layout("detection_boxes", "detection_scores", "detection_classes", True, True, True, True),
    Layout("det_boxes", "det_scores", "det_classes", True, False, False, False),
    Layout("boxes", "scores", "labels", False, False, False, True),
)


class FinalFamily(Family):
    """See the module's text."""

    name = "final"
    needs_nms = False

    def __init__(self, spec: InputSpec, columns: int, layout: Layout) -> None:
        super().__init__(spec, columns)
        self.has_background = layout.has_background
        self._layout = layout
        self._size = np.array((spec.width, spec.height) * 2, np.float32)

    @classmethod
    def fits(cls, model: ModelFile) -> bool:
        return _layout(model) is not None

    @classmethod
    def open(cls, model: ModelFile) -> FinalFamily:
        layout = _layout(model)
        columns = len(cls.labels(model)) or int(model.fact("classes", 0))
        if layout is None or columns < 1:
            raise ModelError(
                f"{model.path} does not say how many classes it has; add the metadata edgecam.labels, a JSON list"
            )
        return cls(image_input(model, _DEFAULTS), columns, layout)

    def candidates(self, outputs: Mapping[str, np.ndarray], index: int, thresholds: np.ndarray) -> Candidates:
        layout = self._layout
        pick = (lambda array: array[index]) if layout.batched else (lambda array: array)
        scores = pick(outputs[layout.scores]).astype(np.float32, copy=False)
        check_numbers(scores)
        classes = pick(outputs[layout.classes]).astype(np.intp)
        known = (classes >= 0) & (classes < self.columns)  # unused rows are filled with anything
        rows = np.flatnonzero(known & (scores > thresholds[np.where(known, classes, 0)]))
        boxes = pick(outputs[layout.boxes])[rows].astype(np.float32, copy=False)
        if layout.y_first:
            boxes = boxes[:, [1, 0, 3, 2]]
        return Candidates(boxes * self._size if layout.fractions else boxes, scores[rows], classes[rows])


def _layout(model: ModelFile) -> Layout | None:
    for layout in LAYOUTS:
        if {layout.boxes, layout.scores, layout.classes} <= set(model.outputs):
            return layout
    return None
