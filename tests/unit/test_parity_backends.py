"""The back ends that `make backends` installs, OpenVINO and TensorRT, against ONNX Runtime in FP32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edgecam_core.errors import InferenceError, ModelError
from edgecam_core.inference import open_runner
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models.zoo import DEFAULT
from parity import assert_agrees, detector, precisions
from tiny_models import color_detector, quadrants


@pytest.mark.parametrize(("backend", "precision"), precisions("openvino", "tensorrt"))
def test_outputs_agree(engines: Path, backend: str, precision: str) -> None:
    assert_agrees(detector(backend, precision, DEFAULT, engines), backend, precision)


def test_detections_are_the_same(tmp_path: Path) -> None:
    subject = detector("openvino", "fp32", color_detector(tmp_path / "any.onnx", batch=None))
    for size in ((64, 48), (640, 480)):
        found = subject.detect(quadrants(*size))
        assert sorted(item.label for item in found) == ["blue", "green", "red"]


def test_a_failed_inference_does_not_stop_the_next(tmp_path: Path) -> None:
    subject = detector("openvino", "fp32", color_detector(tmp_path / "m.onnx"))
    with pytest.raises(InferenceError, match="must be float32"):
        subject.runner.infer({"input_0": np.zeros((1, 3, 9, 9), np.float32)})
    assert len(subject.detect(quadrants(64, 48))) == 3


def test_openvino_reports_why_it_cannot_load(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    model = ModelFile.read(color_detector(tmp_path / "m.onnx"))
    model.path.write_bytes(model.path.read_bytes().replace(b"AveragePool", b"AveragePoop"))
    with pytest.raises(ModelError, match=r"openvino cannot load .*AveragePoop"):
        open_runner(model, "openvino")
