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

"""Runs the live network up to its heads; the features are the input of training and calibration."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.onnxruntime_runner import cpu_session
from edgecam_core.models.family import open_family
from edgecam_core.models.preprocess import Preprocessor
from edgecam_core.types import Frame

from edgecam_training.improve.heads import ClassHeads

# (rows, classes) scores, (rows, 4) boxes in pixels of the frame, (1, F, H, W) features of each head
Output: TypeAlias = tuple[np.ndarray, np.ndarray, list[np.ndarray]]


class FrozenNetwork:
    """Calling an instance with a frame runs the model on the CPU; takes tens of milliseconds."""

    def __init__(self, model: ModelFile, heads: ClassHeads) -> None:
        self._session = cpu_session(heads.extractor())
        spec = open_family(model).spec
        self._input = spec.name
        self._preprocessor = Preprocessor(spec)

    def __call__(self, frame: Frame) -> Output:
        tensor, placement = self._preprocessor.prepare(frame)
        scores, boxes, *features = self._session.run(None, {self._input: tensor})
        return scores[0], placement.to_source(boxes[0], fractions=True), features
