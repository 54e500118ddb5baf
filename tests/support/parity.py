"""A back end against ONNX Runtime in FP32, on real photos with the real model."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from edgecam_core.errors import MissingDependency
from edgecam_core.inference.cuda_driver import find_gpu
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.preprocess import Preprocessor
from edgecam_core.models.zoo import DEFAULT
from edgecam_core.types import Frame

PHOTOS = sorted((Path(__file__).parents[1] / "assets" / "photos").glob("*.jpg"))
# Largest difference of any score and of any box coordinate (fractions of the image) over all photos, where the
# exact score is above 0.3. docs/explanation/precision.md has the same table with the measured values.
TOLERANCE = {
    ("onnxruntime", "fp16"): (0.02, 0.005),
    ("onnxruntime", "int8"): (0.3, 0.03),
    ("openvino", "fp32"): (1e-4, 1e-4),
    ("openvino", "auto"): (0.1, 0.02),
    ("openvino", "fp16"): (0.1, 0.02),
    ("openvino", "int8"): (0.3, 0.03),
    ("torch", "fp32"): (1e-4, 1e-4),
    ("torch", "fp16"): (0.02, 0.005),
    ("tensorrt", "fp32"): (0.02, 0.005),
    ("tensorrt", "fp16"): (0.02, 0.005),
    ("tensorrt", "int8"): (0.3, 0.03),
}


def precisions(*backends: str) -> list[tuple[str, str]]:
    """What is compared of these back ends."""
    return [pair for pair in TOLERANCE if pair[0] in backends]


def detector(
    backend: str, precision: str, model: str | Path, engines: Path | None = None, device: str = "auto"
) -> Detector:
    if (backend == "tensorrt" or (backend, precision) == ("torch", "fp16")) and find_gpu() is None:
        pytest.skip("there is no NVIDIA GPU here")
    settings = DetectorSettings(
        backend=backend, device=device, precision=precision, model=str(model), engine_cache=str(engines or ""),
        calibration=str(PHOTOS[0].parent),
    )  # fmt: skip
    try:
        return Detector.open(settings)
    except MissingDependency as error:
        pytest.skip(str(error))


@cache
def exact_outputs() -> list[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """The default model's input for each photo, and ONNX Runtime's outputs in FP32, on the CPU: a GPU uses TF32."""
    subject = detector("onnxruntime", "fp32", DEFAULT, device="cpu")
    preprocessor = Preprocessor(subject.family.spec)
    tensors = [preprocessor.prepare(Frame.from_array(np.asarray(cv2.imread(str(path))), "bgr8"))[0] for path in PHOTOS]
    return [(tensor, subject.runner.infer({"input_0": tensor})) for tensor in tensors]


def assert_agrees(subject: Detector, backend: str, precision: str) -> None:
    """Scores and boxes of all photos differ from the exact ones by no more than the table allows."""
    assert subject.runner.name == backend
    scores, boxes = [], []
    for tensor, expected in exact_outputs():
        got = subject.runner.infer({"input_0": tensor})
        likely = expected["scores"][..., 1:].max(axis=-1) > 0.3  # boxes matter only where there is an object
        scores.append(np.abs(expected["scores"] - got["scores"])[..., 1:][likely])
        boxes.append(np.abs(expected["boxes"] - got["boxes"])[likely])
    worst = float(np.concatenate(scores).max()), float(np.concatenate(boxes).max())
    print(f"{subject.runner.description}: scores differ by {worst[0]:.2g}, boxes by {worst[1]:.2g}")
    assert len(np.concatenate(boxes)) > 100
    assert worst[0] < TOLERANCE[backend, precision][0]
    assert worst[1] < TOLERANCE[backend, precision][1]
