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

"""The precision in which the live detector runs the model: the new model is exported, checked and tested in it.

The store keeps the FP32 file, from which the detector makes its own FP16 or INT8 file in the same way (see
:mod:`edgecam_core.inference.precision`) and which the next improvement starts from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.precision import CPU, convert_precision
from edgecam_core.inference.runner import RunnerOptions
from edgecam_core.models import tuning
from edgecam_core.types import Frame

from edgecam_core import cache
from edgecam_training.errors import DatasetError
from edgecam_training.improve.heads import ClassHeads
from edgecam_training.improve.network import FrozenNetwork

# Largest difference of a score: the heads compute in FP32, also in an INT8 model, but in FP16 in an FP16 model.
_PARITY = {"fp32": 1e-4, "int8": 1e-4, "fp16": 1e-2}


class Heads(Protocol):
    """Class heads with their weights in FP32, as in :class:`edgecam_training.improve.heads.ClassHead`."""

    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def weights(self) -> tuple[np.ndarray, ...]: ...
    @property
    def biases(self) -> tuple[np.ndarray, ...]: ...


def of_live(model: ModelFile, parameter: str) -> str:
    """The precision of the live model: fp32, fp16 or int8.

    Args:
        parameter: the detector's parameter ``precision``. With ``auto`` it is the precision that a detector on this
            machine has measured to be the fastest for this model, else that of the file.
    """
    if parameter == "auto":
        parameter = next((choice.precision for _, _, choice in tuning.choices_of(model.sha256)), "auto")
    return model.precision if parameter == "auto" else parameter


def export(model: ModelFile, precision: str) -> Path:
    """Write the model in this precision next to it as ``<stem>.<precision>.onnx``; returns the path.

    For the model's own precision it is the model's path. INT8 takes a few seconds.

    Raises:
        ModelError: the model has no quantisation ranges for INT8.
        MissingDependency: the tools are not installed.
        CacheError: the folder or the engine cache cannot be written.
    """
    if precision == model.precision:
        return model.path
    made = convert_precision(model, RunnerOptions(precision=precision), CPU)
    target = model.path.with_name(f"{model.path.stem}.{precision}.onnx")
    cache.write(target, made.path.read_bytes())
    return target


def check_parity(path: Path, heads: Heads, frame: Frame, live: FrozenNetwork | None = None) -> None:
    """Check that an exported graph returns the same scores as the heads on the same features.

    Args:
        live: the parent network, whose features the heads were learned on. None: the features of the exported network,
            because those of FP16 and INT8 differ from the parent's.

    Raises:
        DatasetError: the scores differ; the file has been removed.
    """
    new = ModelFile.read(path)
    exported = FrozenNetwork(new, ClassHeads(new, heads.labels))
    actual, _, features = exported(frame)
    if live is not None:
        _, _, features = live(frame)
    rows = []
    for map_, weight, bias in zip(features, heads.weights, heads.biases, strict=True):
        cells = map_[0].reshape(map_.shape[1], -1).T.astype(np.float32)
        rows.append((np.einsum("nf,acf->nac", cells, weight) + bias).reshape(-1, len(heads.labels)))
    expected = 1 / (1 + np.exp(-np.clip(np.concatenate(rows), -80, 80)))
    worst = float(np.abs(actual - expected).max())
    if not worst <= _PARITY[new.precision]:
        path.unlink()
        raise DatasetError(
            f"the scores of the model exported in {new.precision} differ by {worst:.2g} from the learned ones; please "
            "report this"
        )
