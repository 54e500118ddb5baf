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

"""Opens any model file as a detector: checkpoints here, everything else through the inference back ends."""

from __future__ import annotations

from pathlib import Path

from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.labels import BACKGROUND
from edgecam_core.models.plan import Plan

from edgecam_training.evaluate.engines import open_engine

_CHECKPOINTS = (".pt", ".pth")


def open_detector(
    model: str, backend: str = "auto", least_score: float = 0.01, nms_threshold: float = 0.5, onnx: str = ""
) -> Detector:
    """A detector that reports everything above ``least_score``, at most 100 boxes per image.

    ``model`` is a .pt or .pth checkpoint, an ONNX file, a TensorRT .engine file or a model of the zoo. ``onnx`` is the
    file an engine was built from, if its sidecar does not lead to it.

    Raises:
        CheckpointError, ModelError, MissingDependency, SettingError: it cannot be opened.
    """
    settings = DetectorSettings(
        model=model, backend="auto", confidence_threshold=least_score, nms_threshold=nms_threshold, max_detections=100
    )
    if Path(model).suffix == ".engine":
        return open_engine(Path(model).expanduser(), onnx, settings)
    if Path(model).suffix not in _CHECKPOINTS:
        return Detector.open(settings.changed(backend=backend))
    import torch

    from edgecam_training.evaluate.checkpoint_runner import CheckpointRunner, described
    from edgecam_training.train.checkpoint import open_model

    network, classes = open_model(model)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    file, family = described(network, Path(model), classes)
    plan = Plan(file, family, (BACKGROUND, *classes))
    return Detector(plan, CheckpointRunner(network, device), settings)
