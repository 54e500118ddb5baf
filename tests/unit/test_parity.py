"""Every back end against ONNX Runtime in FP32, on real photos with the real model."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from edgecam_core.errors import InferenceError, MissingDependency, ModelError
from edgecam_core.inference import RunnerOptions, open_runner
from edgecam_core.inference.backends import BACKENDS
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.model_file import ModelFile
from edgecam_core.models.preprocess import Preprocessor
from edgecam_core.types import Frame
from tiny_models import color_detector, quadrants

PHOTOS = sorted((Path(__file__).parents[1] / "assets" / "photos").glob("*.jpg"))
# Largest difference of any score and of any box coordinate (fractions of the picture) over all photos.
TOLERANCE = {("openvino", "fp32"): (1e-4, 1e-4), ("openvino", "auto"): (0.08, 0.08)}


def detector(backend: str, precision: str, model: str = "ssd_mobilenet_v2_coco") -> Detector:
    try:
        return Detector.open(DetectorSettings(backend=backend, precision=precision, model=model))
    except MissingDependency as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("backend", "precision"), TOLERANCE)
def test_outputs_agree(backend: str, precision: str) -> None:
    subject, exact = detector(backend, precision), detector("onnxruntime", "fp32")
    preprocessor = Preprocessor(exact.family.spec)
    worst_score, worst_box = 0.0, 0.0
    for path in PHOTOS:
        tensor, _ = preprocessor.prepare(Frame.from_array(cv2.imread(str(path)), "bgr8"))
        wanted = exact.runner.infer({"input_0": tensor})
        got = subject.runner.infer({"input_0": tensor})
        # Boxes matter where there is something.
        likely = wanted["scores"][..., 1:].max(axis=-1) > 0.3
        worst_score = max(worst_score, float(np.abs(wanted["scores"] - got["scores"])[likely].max()))
        worst_box = max(worst_box, float(np.abs(wanted["boxes"] - got["boxes"])[likely].max()))
    score_tolerance, box_tolerance = TOLERANCE[backend, precision]
    assert worst_score < score_tolerance
    assert worst_box < box_tolerance


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name not in ("tensorrt", "torch")])
def test_detections_are_the_same(tmp_path: Path, backend: str) -> None:
    subject = detector(backend, "fp32", str(color_detector(tmp_path / "any.onnx", batch=None)))
    for size in ((64, 48), (640, 480)):
        found = subject.detect(quadrants(*size))
        assert sorted(item.label for item in found) == ["blue", "green", "red"]


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_a_failed_inference_does_not_stop_the_next(tmp_path: Path, backend: str) -> None:
    subject = detector(backend, "fp32", str(color_detector(tmp_path / "m.onnx")))
    with pytest.raises(InferenceError, match="must be float32"):
        subject.runner.infer({"input_0": np.zeros((1, 3, 9, 9), np.float32)})
    assert len(subject.detect(quadrants(64, 48))) == 3


def test_openvino_says_why_it_cannot_load(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    model = ModelFile.read(color_detector(tmp_path / "m.onnx"))
    model.path.write_bytes(model.path.read_bytes().replace(b"AveragePool", b"AveragePoop"))
    with pytest.raises(ModelError, match=r"openvino cannot load .*AveragePoop"):
        open_runner(model, "openvino")


def test_torch_needs_its_module_beside_the_model(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    model = ModelFile.read(color_detector(tmp_path / "m.onnx"))
    with pytest.raises(ModelError, match=r"needs .*m\.torchscript, a TorchScript module beside"):
        open_runner(model, "torch")
    (tmp_path / "m.torchscript").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="torch cannot load"):
        open_runner(model, "torch")
    with pytest.raises(ModelError, match="has no precision 'int8'"):
        open_runner(model, "torch", RunnerOptions(precision="int8"))


def test_torch_runs_the_same_model(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from tiny_models import CELLS, MEAN, STD

    class Colors(torch.nn.Module):
        """What tiny_models.color_detector computes."""

        def forward(self, picture):  # type: ignore[no-untyped-def]
            shares = torch.nn.functional.avg_pool2d(picture, 4) * (STD / 255) + MEAN / 255
            found = shares.reshape(-1, 3, 4).transpose(1, 2)
            nothing = found[:, :, :1] * 0
            return torch.cat([nothing, found], 2), torch.from_numpy(CELLS)[None].to(picture) + nothing

    path = color_detector(tmp_path / "m.onnx")
    torch.jit.trace(Colors(), torch.zeros(1, 3, 8, 8)).save(str(path.with_suffix(".torchscript")))
    native, exact = detector("torch", "auto", str(path)), detector("onnxruntime", "auto", str(path))
    picture = quadrants(64, 48)
    np.testing.assert_allclose(native.detect(picture).boxes, exact.detect(picture).boxes)
    np.testing.assert_allclose(native.detect(picture).scores, exact.detect(picture).scores, atol=1e-6)
    assert native.runner.description.startswith("torch ")
