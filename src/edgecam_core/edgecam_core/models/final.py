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

"""Models that include non-maximum suppression and return final detections.

Recognised by their outputs:

* ``detection_boxes`` [B, K, 4] (y1 x1 y2 x2, fractions), ``detection_scores``, ``detection_classes`` [B, K],
  ``num_detections``: TensorFlow's object detection API (SSD, EfficientDet); classes start at 1, input is pixel values
  0 to 255. If TensorRT's EfficientNMS plugin computes them, classes start at 0;
* ``TFLite_Detection_PostProcess`` and ``:1`` to ``:3``: the same outputs of a TFLite model; classes start at 0;
* ``boxes`` [B, K, 4] (x1 y1 x2 y2, pixels), ``scores`` and ``labels`` [B, K]: RT-DETR, D-FINE and DEIM with their
  postprocessor; classes start at 0; their second input ``orig_target_sizes`` gets the size of the network's input, and
  DEIMv2 with DINOv3 ImageNet's mean and standard deviation;
* the same without a batch dimension, [K, 4] and [K], recognised by name or by type (labels are integers):
  torchvision's detectors; classes start at 1, 0 is the background;
* ``num_dets``, ``det_boxes`` [B, K, 4] (pixels), ``det_scores``, ``det_classes`` [B, K]: TensorRT's EfficientNMS;
  classes start at 0.

Input is RGB, pixel / 255, unless stated otherwise above or in the metadata. The number of classes comes from the labels
or from ``edgecam.classes``; ``edgecam.first_class`` (0 or 1) overrides the number of the first class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgecam_core.errors import ModelError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models.detr_input import FRACTIONS, detr_input
from edgecam_core.models.family import Candidates, Family
from edgecam_core.models.image_input import image_input
from edgecam_core.models.labels import score_columns
from edgecam_core.models.output_checks import check_numbers, class_numbers, valid_rows
from edgecam_core.models.preprocess import InputSpec

_SIZES = "orig_target_sizes"
_RAW = replace(FRACTIONS, std=(1.0, 1.0, 1.0))


@dataclass(frozen=True)
class Layout:
    """Names and meaning of the outputs; ``count`` is the output with the number of valid rows."""

    boxes: str
    scores: str
    classes: str
    count: str = ""
    batched: bool = True
    fractions: bool = False
    y_first: bool = False
    has_background: bool = False
    default: InputSpec = FRACTIONS


_TFLITE = "TFLite_Detection_PostProcess"
_NAMED = (
    Layout(
        "detection_boxes", "detection_scores", "detection_classes", "num_detections",
        fractions=True, y_first=True, has_background=True, default=_RAW,
    ),
    Layout(_TFLITE, f"{_TFLITE}:2", f"{_TFLITE}:1", f"{_TFLITE}:3", fractions=True, y_first=True, default=_RAW),
    Layout("det_boxes", "det_scores", "det_classes", "num_dets"),
    Layout("boxes", "scores", "labels"),
)  # fmt: skip


class FinalFamily(Family):
    """See the module's docstring."""

    name = "final"
    needs_nms = False

    def __init__(self, spec: InputSpec, columns: int, layout: Layout, takes_sizes: bool = False) -> None:
        super().__init__(spec, columns)
        self.has_background = layout.has_background
        self.fractions = layout.fractions
        self._layout = layout
        self._takes_sizes = takes_sizes

    @classmethod
    def fits(cls, model: ModelFile) -> bool:
        return _layout(model) is not None

    @classmethod
    def open(cls, model: ModelFile, labels: Sequence[str] = ()) -> FinalFamily:
        layout = _layout(model)
        if layout is None:
            raise ModelError(f"{model.path} has none of the outputs of the family 'final' ({model.describe()})")
        layout = replace(layout, has_background=_counts_from_one(model, layout.has_background))
        classes = int(model.fact("classes", 0))
        columns = (classes and classes + layout.has_background) or score_columns(labels, layout.has_background)
        if columns < 1:
            raise ModelError(
                f"{model.path} does not state how many classes it has; set the parameter 'labels' to a file "
                "with one label per line, or add the metadata edgecam.labels, a JSON list"
            )
        filled = {_SIZES} & set(model.inputs)
        # Models of TensorFlow and torchvision with an open input size resize images themselves.
        any_size = layout.fractions or not layout.batched
        default = detr_input(model, layout.default) if filled else layout.default
        return cls(image_input(model, default, filled, any_size), columns, layout, bool(filled))

    def extra_inputs(self, count: int) -> dict[str, np.ndarray]:
        """``orig_target_sizes``: given the network's own size, the model returns boxes in pixels of its input."""
        if not self._takes_sizes:
            return {}
        return {_SIZES: np.array([(self.spec.width, self.spec.height)] * count, np.int64)}

    def candidates(self, outputs: Mapping[str, np.ndarray], index: int, thresholds: np.ndarray) -> Candidates:
        layout = self._layout
        boxes, scores, classes = (outputs[name] for name in (layout.boxes, layout.scores, layout.classes))
        if layout.batched:
            boxes, scores, classes = boxes[index], scores[index], classes[index]
        if layout.count in outputs:
            valid = valid_rows(outputs[layout.count].ravel()[index], len(scores))
            boxes, scores, classes = boxes[:valid], scores[:valid], classes[:valid]
        scores = scores.astype(np.float32, copy=False)
        check_numbers(scores)
        rows = np.flatnonzero(scores > thresholds.min(initial=1.0))
        classes = class_numbers(classes[rows], self.columns, layout.has_background)
        kept = scores[rows] > thresholds[classes]
        rows, classes = rows[kept], classes[kept]
        boxes = boxes[rows].astype(np.float32, copy=False)
        return Candidates(boxes[:, [1, 0, 3, 2]] if layout.y_first else boxes, scores[rows], classes)


def _layout(model: ModelFile) -> Layout | None:
    for layout in _NAMED:
        # TensorFlow's converter keeps the ":0" at the end of a tensor's name.
        names = [_present(model, name) for name in (layout.boxes, layout.scores, layout.classes)]
        if all(names):
            boxes, scores, classes = names
            found = replace(layout, boxes=boxes, scores=scores, classes=classes, count=_present(model, layout.count))
            return _of_plugin(model, found) if found.has_background else _with_or_without_batch(model, found)
    return _by_type(model)


def _counts_from_one(model: ModelFile, default: bool) -> bool:
    first = model.fact("first_class", int(default))
    if first not in (0, 1):
        raise ModelError(f"{model.path} has edgecam.first_class = {first!r}; it must be 0 or 1")
    return bool(first)


def _present(model: ModelFile, name: str) -> str:
    return next((text for text in (name, f"{name}:0") if text in model.outputs), "")


def _of_plugin(model: ModelFile, layout: Layout) -> Layout:
    """NVIDIA's EfficientDet scripts keep TensorFlow's names, but their plugin's classes start at 0."""
    plugin = any("EfficientNMS" in node.op_type and layout.classes in node.output for node in model.graph().node)
    return replace(layout, has_background=not plugin)


def _with_or_without_batch(model: ModelFile, layout: Layout) -> Layout | None:
    ranks = tuple(len(model.outputs[name]) for name in (layout.boxes, layout.scores, layout.classes))
    if ranks == (3, 2, 2):
        return layout
    return replace(layout, batched=False, has_background=True) if ranks == (2, 1, 1) else None


def _by_type(model: ModelFile) -> Layout | None:
    """torchvision's exporter has no fixed names for its outputs: float [K, 4], float [K] and integer [K]."""
    if len(model.outputs) != 3:
        return None
    boxes = scores = classes = ""
    for name, shape in model.outputs.items():
        kind = model.type_of(name).kind
        if len(shape) == 2 and shape[1] == 4 and kind == "f":
            boxes = name
        elif len(shape) == 1 and kind == "f":
            scores = name
        elif len(shape) == 1:
            classes = name
    found = boxes and scores and classes
    return Layout(boxes, scores, classes, batched=False, has_background=True) if found else None
