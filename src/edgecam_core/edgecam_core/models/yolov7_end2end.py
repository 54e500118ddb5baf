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

"""YOLOv7 exported with ``--end2end`` for ONNX Runtime: NMS is part of the graph.

One output [K, 7] for the whole batch: image index, x1 y1 x2 y2 in pixels of the network's input, class (from 0), score.
Input RGB, pixel / 255, letterboxed. Source: WongKinYiu/yolov7, ``models/experimental.py``, ONNX_ORT.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgecam_core.errors import ModelError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models.family import Candidates, Family
from edgecam_core.models.image_input import image_input
from edgecam_core.models.labels import score_columns
from edgecam_core.models.output_checks import check_numbers, class_numbers
from edgecam_core.models.preprocess import InputSpec

_DEFAULTS = InputSpec("", 0, 0, color="rgb", fit="letterbox")


class Yolov7End2EndFamily(Family):
    """See the module's docstring."""

    name = "yolov7-end2end"
    needs_nms = False

    def __init__(self, spec: InputSpec, columns: int, output: str) -> None:
        super().__init__(spec, columns)
        self._output = output

    @classmethod
    def fits(cls, model: ModelFile) -> bool:
        shapes = list(model.outputs.values())
        return len(shapes) == 1 and len(shapes[0]) == 2 and shapes[0][1] == 7

    @classmethod
    def open(cls, model: ModelFile, labels: Sequence[str] = ()) -> Yolov7End2EndFamily:
        columns = int(model.fact("classes", 0)) or score_columns(labels, has_background=False)
        if columns < 1:
            raise ModelError(
                f"{model.path} does not state how many classes it has; set the parameter 'labels' to a file "
                "with one label per line, or add the metadata edgecam.labels, a JSON list"
            )
        (output,) = model.outputs
        return cls(image_input(model, _DEFAULTS), columns, output)

    def candidates(self, outputs: Mapping[str, np.ndarray], index: int, thresholds: np.ndarray) -> Candidates:
        rows = outputs[self._output].astype(np.float32, copy=False)
        rows = rows[rows[:, 0] == index]
        check_numbers(rows)
        likely = rows[rows[:, 6] > thresholds.min(initial=1.0)]
        classes = class_numbers(likely[:, 5], self.columns)
        kept = likely[:, 6] > thresholds[classes]
        return Candidates(likely[kept, 1:5], likely[kept, 6], classes[kept])
