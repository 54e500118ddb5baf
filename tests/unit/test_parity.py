"""Every back end against ONNX Runtime in FP32, on real photos with the real model."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from edgecam_core.errors import InferenceError, MissingDependency, ModelError
from edgecam_core.inference import RunnerOptions, open_runner
from edgecam_core.inference.cuda_driver import find_gpu
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models.coco_labels import LABELS
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.preprocess import Preprocessor
from edgecam_core.models.zoo import DEFAULT, fetch
from edgecam_core.types import Frame
from tiny_models import color_detector, quadrants

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


@pytest.fixture(scope="module")
def exact() -> list[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """The default model's input for each photo, and ONNX Runtime's outputs in FP32, on the CPU: a GPU uses TF32."""
    subject = detector("onnxruntime", "fp32", DEFAULT, device="cpu")
    preprocessor = Preprocessor(subject.family.spec)
    tensors = [preprocessor.prepare(Frame.from_array(cv2.imread(str(path)), "bgr8"))[0] for path in PHOTOS]
    return [(tensor, subject.runner.infer({"input_0": tensor})) for tensor in tensors]


@pytest.fixture(scope="module")
def default_in_torch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default model and its PyTorch module: the same weights in edgecam_training's network."""
    torch = pytest.importorskip("torch")
    from edgecam_training.models.mobilenet_v2_ssd import MobileNetV2Ssd

    class Finished(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = MobileNetV2Ssd(len(LABELS))
            self.network.load_coco({column: column for column in range(1, len(LABELS))})

        def forward(self, images):  # type: ignore[no-untyped-def]
            logits, offsets = self.network(images)
            return torch.sigmoid(logits), self.network.boxes(offsets)

    path = tmp_path_factory.mktemp("torch") / "coco.onnx"
    path.symlink_to(fetch())
    with torch.backends.cudnn.flags(
        allow_tf32=False
    ):  # is stored in the module; otherwise a GPU would convolve in TF32
        module = torch.jit.trace(Finished().eval(), torch.zeros(1, 3, 300, 300))
    module.save(str(path.with_suffix(".torchscript")))
    return path


@pytest.mark.parametrize(("backend", "precision"), TOLERANCE)
def test_outputs_agree(
    exact: list[tuple[np.ndarray, dict[str, np.ndarray]]],
    engines: Path,
    request: pytest.FixtureRequest,
    backend: str,
    precision: str,
) -> None:
    model = request.getfixturevalue("default_in_torch") if backend == "torch" else DEFAULT
    subject = detector(backend, precision, model, engines)
    assert subject.runner.name == backend
    scores, boxes = [], []
    for tensor, expected in exact:
        got = subject.runner.infer({"input_0": tensor})
        likely = expected["scores"][..., 1:].max(axis=-1) > 0.3  # boxes matter only where there is an object
        scores.append(np.abs(expected["scores"] - got["scores"])[..., 1:][likely])
        boxes.append(np.abs(expected["boxes"] - got["boxes"])[likely])
    worst = float(np.concatenate(scores).max()), float(np.concatenate(boxes).max())
    print(f"{subject.runner.description}: scores differ by {worst[0]:.2g}, boxes by {worst[1]:.2g}")
    assert len(np.concatenate(boxes)) > 100
    assert worst[0] < TOLERANCE[backend, precision][0]
    assert worst[1] < TOLERANCE[backend, precision][1]


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_detections_are_the_same(tmp_path: Path, backend: str) -> None:
    subject = detector(backend, "fp32", color_detector(tmp_path / "any.onnx", batch=None))
    for size in ((64, 48), (640, 480)):
        found = subject.detect(quadrants(*size))
        assert sorted(item.label for item in found) == ["blue", "green", "red"]


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_a_failed_inference_does_not_stop_the_next(tmp_path: Path, backend: str) -> None:
    subject = detector(backend, "fp32", color_detector(tmp_path / "m.onnx"))
    with pytest.raises(InferenceError, match="must be float32"):
        subject.runner.infer({"input_0": np.zeros((1, 3, 9, 9), np.float32)})
    assert len(subject.detect(quadrants(64, 48))) == 3


def test_openvino_reports_why_it_cannot_load(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    model = ModelFile.read(color_detector(tmp_path / "m.onnx"))
    model.path.write_bytes(model.path.read_bytes().replace(b"AveragePool", b"AveragePoop"))
    with pytest.raises(ModelError, match=r"openvino cannot load .*AveragePoop"):
        open_runner(model, "openvino")


def test_torch_needs_its_module_next_to_the_model(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    model = ModelFile.read(color_detector(tmp_path / "m.onnx"))
    with pytest.raises(ModelError, match=r"needs .*m\.torchscript, a TorchScript module next to"):
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
        """The same computation as tiny_models.color_detector."""

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("cells", torch.from_numpy(CELLS)[None])

        def forward(self, image):  # type: ignore[no-untyped-def]
            shares = torch.nn.functional.avg_pool2d(image, 4) * (STD / 255) + MEAN / 255
            found = shares.reshape(-1, 3, 4).transpose(1, 2)
            nothing = found[:, :, :1] * 0
            return torch.cat([nothing, found], 2), self.cells + nothing

    path = color_detector(tmp_path / "m.onnx")
    torch.jit.trace(Colors(), torch.zeros(1, 3, 8, 8)).save(str(path.with_suffix(".torchscript")))
    native, exact = (detector(backend, "auto", path) for backend in ("torch", "onnxruntime"))
    image = quadrants(64, 48)
    np.testing.assert_allclose(native.detect(image).boxes, exact.detect(image).boxes)
    np.testing.assert_allclose(native.detect(image).scores, exact.detect(image).scores, atol=1e-6)
    assert native.runner.description.startswith("torch ")
