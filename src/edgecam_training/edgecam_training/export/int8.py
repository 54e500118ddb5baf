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

"""Converts a checkpoint or a float ONNX file to an INT8 file that passes the acceptance check."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models.family import open_family
from edgecam_core.models.preprocess import Preprocessor
from edgecam_core.models.zoo import locate
from edgecam_core.temporary import TemporaryFolder
from edgecam_core.types import Frame

from edgecam_core import cache
from edgecam_training.data.checks import read_image
from edgecam_training.data.dataset import Dataset
from edgecam_training.data.findings import ALLOWED, LEAST_SCORED
from edgecam_training.data.summary import load_accepted
from edgecam_training.errors import ExportError
from edgecam_training.evaluate.evaluation import evaluate
from edgecam_training.evaluate.models import open_detector
from edgecam_training.export.acceptance import Passed, accept_int8, check_images
from edgecam_training.export.quantize import best_ranges, calibrate

Bar = Callable[[str], Callable[[int, int], None]]
_PROBE = 4  # images for the sensitivity measurement


@dataclass(frozen=True)
class Int8Export:
    """See ``edgecam export --help``."""

    model: str
    output: Path
    data: str
    split: str = "val"
    calibration_split: str = "train"
    images: int = 300
    flavour: str = "tensorrt"
    recipe: str = "minmax"
    most_drop: float = 1.0
    least_scored: int = LEAST_SCORED
    allow_dropped: float = ALLOWED
    rename: dict[str, str] = field(default_factory=dict)


def run_job(job: Int8Export, tell: Callable[[str], None], bar: Bar) -> Passed:
    """Calibrate, quantise, score, keep layers in float until the accuracy is accepted; blocks for minutes.

    Next to the file, ``<name>.calibration.json`` lists the calibration images with their hashes.

    Raises:
        ExportError: the loss of accuracy is too large, there are too few images to measure it, or the model is not a
            float model.
        DatasetError, SettingError: invalid data set or options.
    """
    dataset = load_accepted(job.data, job.allow_dropped, tell)
    scored = dataset.split(job.split)
    check_images(scored, job.least_scored)
    with TemporaryFolder("export") as folder:
        source = _as_onnx(job.model, Path(folder))
        inputs, used = _inputs(source, dataset.split(job.calibration_split), job.images)
        tell(f"calibrating on {len(inputs)} images of '{job.calibration_split}'")
        if job.recipe == "auto":
            ranges = best_ranges(source, inputs, job.flavour, tell)
        else:
            ranges = calibrate(source, inputs, job.flavour, job.recipe)

        def score(path: Path) -> float:
            return _map(path, scored, job.rename, bar("scoring"))

        reference = score(source)
        tell(f"float: mAP {reference:.4f} at IoU 0.5 on {len(scored.samples)} images of '{job.split}'")
        passed = accept_int8(ranges, job.output, reference, score, job.most_drop, inputs[:_PROBE], tell)
    text = json.dumps({"sha256": hashlib.sha256(json.dumps(used).encode()).hexdigest(), "images": used}, indent=1)
    cache.write(job.output.with_suffix(".calibration.json"), text.encode())
    return passed


def _as_onnx(model: str, folder: Path) -> Path:
    if Path(model).suffix not in (".pt", ".pth"):
        return locate(model)
    from edgecam_training.export.onnx_export import ExportOptions, export
    from edgecam_training.train.checkpoint import open_model

    network, classes = open_model(model)
    path = folder / "float.onnx"
    export(network, classes, path, ExportOptions())
    return path


def _inputs(model: Path, dataset: Dataset, count: int) -> tuple[list[np.ndarray], list[dict[str, str]]]:
    """Evenly spaced images as network inputs, and their names and hashes."""
    family = open_family(ModelFile.read(model))
    preprocessor = Preprocessor(family.spec)
    step = max(1, len(dataset.samples) // count)
    inputs: list[np.ndarray] = []
    used: list[dict[str, str]] = []
    for sample in dataset.samples[::step]:
        pixels = read_image(sample.path)
        if pixels is not None and len(inputs) < count:
            inputs.append(preprocessor.prepare(Frame.from_array(pixels, "bgr8"))[0])
            used.append({"image": sample.path.name, "sha256": cache.sha256(sample.path)})
    if len(inputs) < count:
        raise ExportError(f"{count} calibration images are needed, '{dataset.samples[0].split}' has {len(inputs)}")
    return inputs, used


def _map(path: Path, dataset: Dataset, rename: dict[str, str], progress: Callable[[int, int], None]) -> float:
    detector = open_detector(str(path), "onnxruntime")
    try:
        return evaluate(detector, dataset, rename, progress).scores.map50
    finally:
        detector.close()
