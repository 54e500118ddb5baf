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

"""Runs a checkpoint with the interface of the inference back ends, so that one detector handles all file types."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.runner import Runner, RunnerOptions, TensorSpec
from edgecam_core.models.preprocess import InputSpec
from edgecam_core.models.ssd import SsdFamily

from edgecam_training.models.base import SsdModel


class CheckpointRunner(Runner):
    """Runs an :class:`SsdModel`; inputs and outputs as in its exported ONNX file. Constructed without ``load``."""

    name = "torch"

    def __init__(self, model: SsdModel, device: torch.device) -> None:
        size = model.size
        inputs = {"input_0": TensorSpec(np.dtype(np.float32), (None, 3, size, size))}
        count = len(model.priors)
        outputs = {
            "scores": TensorSpec(np.dtype(np.float32), (None, count, model.columns)),
            "boxes": TensorSpec(np.dtype(np.float32), (None, count, 4)),
        }
        super().__init__(inputs, outputs, f"torch {torch.__version__} on {device}")
        self._model, self._device = model.to(device).eval(), device

    @classmethod
    def load(cls, model: ModelFile, options: RunnerOptions) -> CheckpointRunner:
        raise NotImplementedError("a checkpoint is opened with train.checkpoint.open_model")

    @torch.no_grad()
    def _infer(self, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        logits, offsets = self._model(torch.from_numpy(feed["input_0"]).to(self._device))
        scores, boxes = logits.softmax(dim=2), self._model.boxes(offsets)
        return {"scores": scores.cpu().numpy(), "boxes": boxes.cpu().numpy()}


def described(model: SsdModel, path: Path, classes: tuple[str, ...]) -> tuple[ModelFile, SsdFamily]:
    """What the detector needs from a checkpoint, without an ONNX file."""
    count = len(model.priors)
    file = ModelFile(
        path,
        {"input_0": (None, 3, model.size, model.size)},
        {"scores": (None, count, model.columns), "boxes": (None, count, 4)},
        {},
    )
    how = model.normalisation
    spec = InputSpec("input_0", model.size, model.size, how.mean, how.std, "rgb", "stretch")
    return file, SsdFamily(spec, model.columns)
