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

"""SSD with box decoding in the graph, in the format of pytorch-ssd's onnx_export.py and of jetson-inference.

Outputs are ``scores`` [B, N, C] (softmax or sigmoid; column 0 is the background) and ``boxes`` [B, N, 4], x1 y1 x2 y2
as fractions of the image. Input RGB, (pixel - 127) / 128, stretched to the network's size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgecam_core.errors import ModelError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models.family import Candidates, Family
from edgecam_core.models.image_input import image_input
from edgecam_core.models.labels import score_columns
from edgecam_core.models.output_checks import check_probabilities
from edgecam_core.models.preprocess import InputSpec

_DEFAULTS = InputSpec("", 0, 0, mean=(127.0, 127.0, 127.0), std=(128.0, 128.0, 128.0), color="rgb", fit="stretch")


class SsdFamily(Family):
    """See the module's docstring."""

    name = "ssd"
    has_background = True
    fractions = True

    @classmethod
    def fits(cls, model: ModelFile) -> bool:
        scores, boxes = model.outputs.get("scores"), model.outputs.get("boxes")
        if scores is None or boxes is None or len(scores) != 3 or len(boxes) != 3 or boxes[2] not in (4, None):
            return False
        return scores[1] is None or boxes[1] is None or scores[1] == boxes[1]

    @classmethod
    def open(cls, model: ModelFile, labels: Sequence[str] = ()) -> SsdFamily:
        columns = model.outputs["scores"][2] or score_columns(labels, has_background=True)
        if columns < 2:
            raise ModelError(
                f"{model.path} has {columns} score columns; SSD needs the background and at least one class"
            )
        return cls(image_input(model, _DEFAULTS), columns)

    def candidates(self, outputs: Mapping[str, np.ndarray], index: int, thresholds: np.ndarray) -> Candidates:
        scores, boxes = outputs["scores"][index], outputs["boxes"][index]
        check_probabilities(scores)
        # One pass over all scores: only a few exceed their threshold.
        rows, classes = np.divmod(np.flatnonzero(scores[:, 1:] > thresholds[1:]), self.columns - 1)
        classes += 1
        found = scores[rows, classes].astype(np.float32, copy=False)
        return Candidates(boxes[rows].astype(np.float32, copy=False), found, classes)
