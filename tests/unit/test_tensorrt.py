"""Engines are built here with TensorRT-RTX, which needs no GPU for that; running them does."""

from __future__ import annotations

import json
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

import onnx
import pytest
from edgecam_core.errors import EdgecamError, MissingDependency, ModelError
from edgecam_core.inference import RunnerOptions, open_runner
from edgecam_core.inference.batching import free_batch
from edgecam_core.inference.cuda_driver import find_gpu
from edgecam_core.inference.tensorrt_api import TensorRt, import_tensorrt
from edgecam_core.inference.tensorrt_builder import build_engine, engine_precisions, require_precision
from edgecam_core.inference.tensorrt_runner import ensure_engine
from edgecam_core.models.calibration import PictureCalibration
from edgecam_core.models.family import open_family
from edgecam_core.models.model_file import ModelFile
from edgecam_core.models.zoo import fetch
from onnx import TensorProto, helper
from pytorch_ssd import export
from tiny_models import color_detector

PHOTOS = Path(__file__).parents[1] / "assets" / "photos"


@pytest.fixture(scope="module")
def api() -> TensorRt:
    try:
        return import_tensorrt()
    except MissingDependency as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def model() -> ModelFile:
    return ModelFile.read(fetch())


# INT8 leaves the five first convolutions and the twelve heads in FP32.
LAYERS = {"fp32": {"fp32": 72}, "fp16": {"fp16": 72}, "int8": {"int8": 55, "fp32": 17}}


@pytest.mark.parametrize("precision", LAYERS)
def test_the_default_model_is_built(api: TensorRt, model: ModelFile, tmp_path: Path, precision: str) -> None:
    told: list[str] = []
    calibration = PictureCalibration(PHOTOS, open_family(model).spec)
    options = RunnerOptions(precision=precision, cache=tmp_path, calibration=calibration, progress=told.append)
    path, built = ensure_engine(model, options, api, "test")
    assert built == precision
    facts = json.loads((tmp_path / f"{path.name}.json").read_text())
    assert facts["layers"] == LAYERS[precision]
    assert facts["model_sha256"] == model.sha256
    assert facts["tensorrt"] == str(api)
    assert any("building the engine" in text for text in told)
    assert path.stat().st_size > 4e6
    made = path.stat().st_mtime_ns
    assert ensure_engine(model, options, api, "test")[0].stat().st_mtime_ns == made


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_pytorch_ssd_export_is_built(api: TensorRt, tmp_path: Path, precision: str) -> None:
    model = ModelFile.read(export(tmp_path / "mb1-ssd.onnx"))
    calibration = PictureCalibration(PHOTOS, open_family(model).spec)
    options = RunnerOptions(precision=precision, cache=tmp_path, calibration=calibration)
    path, _ = ensure_engine(model, options, api, "test")
    facts = json.loads((tmp_path / f"{path.name}.json").read_text())
    assert facts["layers"] == {precision: 12}


def test_the_default_model_is_built_for_batches(api: TensorRt, model: ModelFile, tmp_path: Path) -> None:
    options = RunnerOptions(cache=tmp_path, max_batch=4)
    path, _ = ensure_engine(free_batch(model, options), options, api, "test")
    assert fnmatch(path.name, "ssd_mobilenet_v2_coco-batch-*-fp32-b4-*.tensorrt-rtx.engine")


def test_a_free_batch_becomes_a_profile(api: TensorRt, tmp_path: Path) -> None:
    model = ModelFile.read(color_detector(tmp_path / "any.onnx", batch=None))
    path, _ = ensure_engine(model, RunnerOptions(cache=tmp_path, max_batch=4), api, "test")
    assert fnmatch(path.name, "any-fp32-b4-*.tensorrt-rtx.engine")
    other = TensorRt(api.module, api.flavour, "0.0")
    assert ensure_engine(model, RunnerOptions(cache=tmp_path, max_batch=4), other, "test")[0] != path


def test_an_operator_tensorrt_does_not_know_is_named(api: TensorRt, tmp_path: Path) -> None:
    picture = helper.make_tensor_value_info("input_0", TensorProto.FLOAT, [1, 3, 8, 8])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, 4]) for name in ("scores", "boxes")]
    node = helper.make_node("FancyDetector", ["input_0"], ["scores", "boxes"], domain="nowhere.example")
    graph = helper.make_graph([node], "g", [picture], outputs)
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("nowhere.example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="FancyDetector"):
        build_engine(api, ModelFile.read(tmp_path / "m.onnx"), 1, lambda _: None)


def test_a_build_can_be_cancelled(api: TensorRt, model: ModelFile) -> None:
    class Cancelled(EdgecamError):
        pass

    def cancel(text: str) -> None:
        if " of " in text:  # not before TensorRT itself is at work
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        build_engine(api, model, 1, cancel)


@pytest.mark.skipif(find_gpu() is not None, reason="there is a GPU here")
def test_without_a_gpu_the_reason_is_given(model: ModelFile) -> None:
    with pytest.raises(ModelError, match="needs an NVIDIA GPU and its driver"):
        open_runner(model, "tensorrt")
    assert "NVIDIA GPU" in open_runner(model, "auto").rejected["tensorrt"]


def test_a_precision_that_got_lost_is_an_error() -> None:
    require_precision("fp16", Counter(fp16=70, fp32=2), "m")
    with pytest.raises(ModelError, match="m should be fp16, but its convolutions came out as 72 fp32"):
        require_precision("fp16", Counter(fp32=72), "m")


def test_precisions_are_read_from_the_inspectors_words() -> None:
    # The wording of TensorRT 8 to 10: layout and type in one text per tensor.
    wordings = (
        "Row major linear FP16 format",
        "Channel major FP16 format where channel % 8 == 0",
        "Half",
        "Float",
        "Thirty-two wide channel vectorized row major Int8 format",
        "Row major linear INT32",
    )
    tensors = [{"Name": "t", "Format/Datatype": wording} for wording in wordings]
    information = json.dumps({"Layers": [{"Name": "conv", "Inputs": tensors[:2], "Outputs": tensors[2:]}]})
    assert engine_precisions(information) == Counter(fp16=3, fp32=1, int8=1)
