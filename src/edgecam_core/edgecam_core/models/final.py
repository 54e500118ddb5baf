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

"""Models that suppress duplicates in their own graph and return final detections.

Recognised by their outputs:

* ``detection_boxes`` [B, K, 4] (y1 x1 y2 x2, fractions), ``detection_scores``, ``detection_classes`` [B, K], with
  ``num_detections``: TensorFlow's object detection API (SSD, EfficientDet); classes count from 1, pixels are fed as
  they are. Where TensorRT's EfficientNMS makes them, classes count from 0;
* ``TFLite_Detection_PostProcess`` and its ``:1`` to ``:3``: the same of a TFLite model, classes from 0;
* ``boxes`` [B, K, 4] (x1 y1 x2 y2, pixels), ``scores`` and ``labels`` [B, K]: RT-DETR, D-FINE and DEIM with their
  postprocessor; classes count from 0; their second input ``orig_target_sizes`` is filled with the input's size;
* the same without a batch dimension, for one image, [K, 4] and [K], by name or by type (labels are integers): what
  torchvision's detectors export; classes count from 1, the background is 0;
* ``num_dets``, ``det_boxes`` [B, K, 4] (pixels), ``det_scores``, ``det_classes`` [B, K]: TensorRT's EfficientNMS,
  classes count from 0.

Input RGB, pixel / 255 unless stated otherwise above or in the metadata. The number of classes comes from the labels
or from ``edgecam.classes``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgecam_core.errors import ModelError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models.family import Candidates, Family, check_classes, check_numbers
from edgecam_core.models.image_input import image_input
from edgecam_core.models.labels import columns_named
from edgecam_core.models.preprocess import InputSpec

_SIZES = "orig_target_sizes"
_DEFAULTS = InputSpec("", 0, 0, color="rgb", fit="stretch")
_RAW = replace(_DEFAULTS, std=(1.0, 1.0, 1.0))


@dataclass(frozen=True)
class Layout:
    """Names of the outputs and what they hold; ``count`` is the output with the number of valid rows."""

    boxes: str
    scores: str
    classes: str
    count: str = ""
    batched: bool = True
    fractions: bool = False
    y_first: bool = False
    has_background: bool = False
    default: InputSpec = _DEFAULTS


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
    """See the module's text."""

    name = "final"
    needs_nms = False

    def __init__(self, spec: InputSpec, columns: int, layout: Layout, wants_sizes: bool = False) -> None:
        super().__init__(spec, columns)
        self.has_background = layout.has_background
        self.fractions = layout.fractions
        self._layout = layout
        self._wants_sizes = wants_sizes

    @classmethod
    def fits(cls, model: ModelFile) -> bool:
        return _layout(model) is not None

    @classmethod
    def open(cls, model: ModelFile, labels: Sequence[str] = ()) -> FinalFamily:
        layout = _layout(model)
        if layout is None:
            raise ModelError(f"{model.path} has none of the outputs of the family 'final' ({model.describe()})")
        classes = int(model.fact("classes", 0))
        columns = (classes and classes + layout.has_background) or columns_named(labels, layout.has_background)
        if columns < 1:
            raise ModelError(
                f"{model.path} does not state how many classes it has; set the parameter 'labels' to a file "
                "with one label a line, or add the metadata edgecam.labels, a JSON list"
            )
        filled = {_SIZES} & set(model.inputs)
        # A model that takes sizes left open resizes images itself: TensorFlow's and torchvision's do.
        any_size = layout.fractions or not layout.batched
        return cls(image_input(model, layout.default, filled, any_size), columns, layout, bool(filled))

    def more_inputs(self, count: int) -> dict[str, np.ndarray]:
        """With the network's own size as that of the original, boxes are in pixels of the network's input."""
        if not self._wants_sizes:
            return {}
        return {_SIZES: np.array([(self.spec.width, self.spec.height)] * count, np.int64)}

    def candidates(self, outputs: Mapping[str, np.ndarray], index: int, thresholds: np.ndarray) -> Candidates:
        layout = self._layout
        boxes, scores, classes = (outputs[name] for name in (layout.boxes, layout.scores, layout.classes))
        if layout.batched:
            boxes, scores, classes = boxes[index], scores[index], classes[index]
        if layout.count in outputs:
            valid = int(outputs[layout.count].ravel()[index])
            boxes, scores, classes = boxes[:valid], scores[:valid], classes[:valid]
        scores = scores.astype(np.float32, copy=False)
        check_numbers(scores)
        sure = np.flatnonzero(scores > thresholds.min(initial=1.0))
        classes = classes[sure].astype(np.intp)
        check_classes(classes, self.columns)
        kept = scores[sure] > thresholds[classes]
        rows, classes = sure[kept], classes[kept]
        boxes = boxes[rows].astype(np.float32, copy=False)
        return Candidates(boxes[:, [1, 0, 3, 2]] if layout.y_first else boxes, scores[rows], classes)


def _layout(model: ModelFile) -> Layout | None:
    for layout in _NAMED:
        # TensorFlow's own converter leaves the ":0" of a tensor at its name.
        names = [_present(model, name) for name in (layout.boxes, layout.scores, layout.classes)]
        if all(names):
            boxes, scores, classes = names
            found = replace(layout, boxes=boxes, scores=scores, classes=classes, count=_present(model, layout.count))
            return _of_plugin(model, found) if found.has_background else _with_or_without_batch(model, found)
    return _by_type(model)


def _present(model: ModelFile, name: str) -> str:
    return next((text for text in (name, f"{name}:0") if text in model.outputs), "")


def _of_plugin(model: ModelFile, layout: Layout) -> Layout:
    """NVIDIA's EfficientDet scripts keep TensorFlow's names, but their plugin counts classes from 0."""
    plugin = any("EfficientNMS" in node.op_type and layout.classes in node.output for node in model.graph().node)
    return replace(layout, has_background=not plugin)


def _with_or_without_batch(model: ModelFile, layout: Layout) -> Layout | None:
    ranks = tuple(len(model.outputs[name]) for name in (layout.boxes, layout.scores, layout.classes))
    if ranks == (3, 2, 2):
        return layout
    return replace(layout, batched=False, has_background=True) if ranks == (2, 1, 1) else None


def _by_type(model: ModelFile) -> Layout | None:
    """torchvision's exporter numbers the outputs: one float [K, 4], one float [K], one integer [K]."""
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
