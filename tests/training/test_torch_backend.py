"""The torch back end against ONNX Runtime in FP32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from edgecam_core.errors import ModelError
from edgecam_core.inference import RunnerOptions, open_runner
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models.coco_labels import LABELS
from edgecam_core.models.zoo import fetch
from edgecam_training.models.mobilenet_v2_ssd import MobileNetV2Ssd
from parity import assert_agrees, detector, precisions
from tiny_models import CELLS, MEAN, STD, color_detector, quadrants


@pytest.fixture(scope="module")
def default_in_torch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default model and its PyTorch module: the same weights in edgecam_training's network."""

    class Finished(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = MobileNetV2Ssd(len(LABELS))
            self.network.load_coco({column: column for column in range(1, len(LABELS))})

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
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


@pytest.mark.parametrize(("backend", "precision"), precisions("torch"))
def test_outputs_agree(default_in_torch: Path, backend: str, precision: str) -> None:
    assert_agrees(detector(backend, precision, default_in_torch), backend, precision)


def test_torch_needs_its_module_next_to_the_model(tmp_path: Path) -> None:
    model = ModelFile.read(color_detector(tmp_path / "m.onnx"))
    with pytest.raises(ModelError, match=r"needs .*m\.torchscript, a TorchScript module next to"):
        open_runner(model, "torch")
    (tmp_path / "m.torchscript").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="torch cannot load"):
        open_runner(model, "torch")
    with pytest.raises(ModelError, match="has no precision 'int8'"):
        open_runner(model, "torch", RunnerOptions(precision="int8"))


def test_torch_runs_the_same_model(tmp_path: Path) -> None:
    class Colors(torch.nn.Module):
        """The same computation as tiny_models.color_detector."""

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("cells", torch.from_numpy(CELLS)[None])

        def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
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
