"""Engines are built here with TensorRT-RTX, which needs a GPU only to run them."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import onnx
import pytest
from edgecam_core.cli.main import main
from edgecam_core.errors import EdgecamError, MissingDependency, ModelError
from edgecam_core.inference import RunnerOptions, open_runner
from edgecam_core.inference.artifacts import Artifact
from edgecam_core.inference.batching import dynamic_batch
from edgecam_core.inference.cuda_driver import find_gpu
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.precision import fp32_tensors
from edgecam_core.inference.tensorrt_api import TensorRt, import_tensorrt
from edgecam_core.inference.tensorrt_builder import Recipe, build_engine, collecting_logger
from edgecam_core.inference.tensorrt_precision import layers_of, require_engine_precision, require_precision
from edgecam_core.inference.tensorrt_runner import TensorRtRunner, _deserialise, ensure_engine
from edgecam_core.models.family import open_family
from edgecam_core.models.image_calibration import ImageCalibration
from edgecam_core.models.zoo import fetch
from onnx import TensorProto, helper
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


# INT8 leaves the first five convolutions and the twelve heads in FP16.
LAYERS = {"fp32": {"fp32": 72}, "fp16": {"fp16": 72}, "int8": {"int8": 55, "fp16": 17}}


@pytest.mark.parametrize("precision", LAYERS)
def test_the_default_model_is_built(api: TensorRt, model: ModelFile, tmp_path: Path, precision: str) -> None:
    reported: list[str] = []
    calibration = ImageCalibration(PHOTOS, open_family(model).spec)
    options = RunnerOptions(precision=precision, cache=tmp_path, calibration=calibration, progress=reported.append)
    path, built = ensure_engine(model, options, api, None)
    assert built == precision
    facts = json.loads((tmp_path / f"{path.name}.json").read_text())
    assert facts["layers"] == LAYERS[precision]
    assert facts["model_sha256"] == model.sha256
    assert facts["tensorrt"] == str(api)
    assert facts["inputs"] == {"input_0": [1, 3, 300, 300]}
    assert facts["calibration"] == (calibration.fingerprint() if precision == "int8" else None)
    assert any("building the engine" in text for text in reported)
    assert path.stat().st_size > 4e6
    made = path.stat().st_mtime_ns
    assert ensure_engine(model, options, api, None)[0].stat().st_mtime_ns == made


def test_the_default_model_is_built_for_batches(api: TensorRt, model: ModelFile, tmp_path: Path) -> None:
    options = RunnerOptions(cache=tmp_path, max_batch=4)
    path, _ = ensure_engine(dynamic_batch(model, options), options, api, None)
    assert fnmatch(path.name, "ssd_mobilenet_v2_coco-batch-*-fp32-b4-*.tensorrt-rtx.engine")


def test_a_free_batch_becomes_a_profile(api: TensorRt, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = ModelFile.read(color_detector(tmp_path / "any.onnx", batch=None))
    path, _ = ensure_engine(model, RunnerOptions(cache=tmp_path, max_batch=4), api, None)
    assert fnmatch(path.name, "any-fp32-b4-*.tensorrt-rtx.engine")
    other = TensorRt(api.module, api.flavour, "0.0")
    assert ensure_engine(model, RunnerOptions(cache=tmp_path, max_batch=4), other, None)[0] != path
    assert f"as for {path.name}, tensorrt is '{other}' now, the file was built for '{api}'" in caplog.text


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_file_that_is_really_fp32_is_not_built(api: TensorRt, model: ModelFile, precision: str) -> None:
    reported: list[str] = []
    with pytest.raises(ModelError, match=f"should be {precision}, but its convolutions are 72 fp32"):
        build_engine(api, replace(model, precision=precision), Recipe(), reported.append)
    assert reported == []


def test_layers_that_int8_leaves_in_fp32_are_found_in_the_parsed_network(api: TensorRt, model: ModelFile) -> None:
    """Precision constraints, which TensorRT 8.x needs; RTX parses the file into the same layers."""
    trt = api.module
    logger = collecting_logger(trt)
    network = trt.Builder(logger).create_network(0)
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(model.path.read_bytes())
    kinds = Counter(layer.type.name for layer in layers_of(trt, network, fp32_tensors(model, with_sensitive=True)))
    assert kinds["CONVOLUTION"] == LAYERS["int8"]["fp16"]
    assert kinds["UNARY"] > 0  # exp() of the boxes' sizes
    decoding = layers_of(trt, network, fp32_tensors(model, with_sensitive=False))
    assert "CONVOLUTION" not in {layer.type.name for layer in decoding}


def test_an_engine_from_elsewhere_needs_its_sidecar(api: TensorRt, tmp_path: Path) -> None:
    model = ModelFile.read(color_detector(tmp_path / "m.onnx"))
    path, _ = ensure_engine(model, RunnerOptions(cache=tmp_path), api, None)
    foreign = Artifact(tmp_path / "foreign.engine")
    foreign.path.write_bytes(path.read_bytes())
    with pytest.raises(ModelError, match=r"foreign\.engine is not loaded: .*it is unknown what the file is"):
        TensorRtRunner.load_engine(foreign.path, RunnerOptions())
    foreign.sidecar.write_bytes(Artifact(path).sidecar.read_bytes())
    if find_gpu() is None:
        with pytest.raises(ModelError, match="needs an NVIDIA GPU"):
            TensorRtRunner.load_engine(foreign.path, RunnerOptions())
    foreign.path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(ModelError, match="not the one its sidecar describes"):
        TensorRtRunner.load_engine(foreign.path, RunnerOptions())


def test_the_command_prints_what_it_built_and_for_which_gpu(
    api: TensorRt, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = ["--engine-cache", str(tmp_path / "engines")]
    model = str(color_detector(tmp_path / "m.onnx"))
    assert main(["engine", "build", "--model", model, "--backend", "tensorrt", *cache]) == 0
    out, err = capsys.readouterr()
    path = Path(out.split(" (fp32, ")[0])
    assert path.is_file()
    steps = [line for line in err.splitlines() if line.startswith("building the engine")]
    assert 3 < len(steps) == len(set(steps))  # one line for each kind of step, not for each step
    assert ("for another machine" in err) == (find_gpu() is None)
    assert main(["engine", "list", *cache]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = (line for line in lines if line.startswith(path.name))
    assert line.endswith("any RTX  ok")
    kept = len(lines)
    assert kept == 1  # TensorRT-RTX keeps no timing cache
    assert main(["engine", "clean", *cache]) == 0
    assert main(["engine", "list", *cache]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{kept} removed", f"nothing in {tmp_path / 'engines'}"]


def test_an_operator_tensorrt_does_not_know_is_named(api: TensorRt, tmp_path: Path) -> None:
    image = helper.make_tensor_value_info("input_0", TensorProto.FLOAT, [1, 3, 8, 8])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, 4]) for name in ("scores", "boxes")]
    node = helper.make_node("FancyDetector", ["input_0"], ["scores", "boxes"], domain="nowhere.example")
    graph = helper.make_graph([node], "g", [image], outputs)
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("nowhere.example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="FancyDetector"):
        build_engine(api, ModelFile.read(tmp_path / "m.onnx"), Recipe(), lambda _: None)


def test_a_build_can_be_cancelled(api: TensorRt, model: ModelFile) -> None:
    class Cancelled(EdgecamError):
        pass

    def cancel(text: str) -> None:
        if " of " in text:  # not before TensorRT itself works
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        build_engine(api, model, Recipe(), cancel)


@pytest.mark.skipif(find_gpu() is not None, reason="there is a GPU here")
def test_without_a_gpu_the_reason_is_given(model: ModelFile) -> None:
    with pytest.raises(ModelError, match="needs an NVIDIA GPU and its driver"):
        open_runner(model, "tensorrt")
    assert "NVIDIA GPU" in open_runner(model, "auto").rejected["tensorrt on cuda"]


def test_a_lost_precision_is_an_error() -> None:
    require_precision("fp16", Counter(fp16=70, fp32=2), "m")
    with pytest.raises(ModelError, match="m should be fp16, but its convolutions are 72 fp32"):
        require_precision("fp16", Counter(fp32=72), "m")


def inspected(weights: list[str], tensors: list[str]) -> str:
    """The relevant part of an engine inspector's output."""
    layers: list[dict[str, object]] = [{"Name": "c", "Weights": {"Type": word, "Count": 9}} for word in weights]
    layers += [{"Name": "w", "Weights": {"Type": "Float", "Count": 0}}]
    layers += [{"Name": "t", "Inputs": [{"Name": "x", "Format/Datatype": word}]} for word in tensors]
    return json.dumps({"Layers": layers}, indent=2)


# The wordings of TensorRT 8 to 10 for a tensor: layout and type in one text, or the type alone.
LINEAR, CHANNELS = "Row major linear FP16 format", "Channel major FP16 format where channel % 8 == 0"
VECTORISED = "Thirty-two wide channel vectorized row major Int8 format"


@pytest.mark.parametrize(
    ("precision", "weights", "tensors", "found"),
    [
        ("int8", ["Int8", "Int8", "Float"], ["Float"] * 9, ""),
        ("int8", ["Half", "Half", "Int8"], [VECTORISED], "2 fp16, 1 int8"),
        ("fp16", ["Float"] * 3, [LINEAR], "3 fp32"),
        ("fp16", [], ["Row major linear FP32", LINEAR], ""),
        ("fp16", [], ["Float", CHANNELS], ""),
        ("fp16", [], ["Float", "Half"], ""),
        ("fp16", [], ["Float", "Row major linear FP32"], "2 fp32"),
        ("int8", [], [VECTORISED, "Float", "Float"], ""),
        ("int8", [], ["Half", "Float"], "1 fp16, 1 fp32"),
        ("int8", [], ["Row major linear INT32"], ""),  # nothing is known
        ("fp32", ["Half"], ["Half"], ""),
    ],
)
def test_an_engine_that_lost_its_precision_is_refused(
    precision: str, weights: list[str], tensors: list[str], found: str
) -> None:
    with (
        pytest.raises(ModelError, match=f"m should be .*, but its convolutions are {found}") if found else nullcontext()
    ):
        require_engine_precision(precision, inspected(weights, tensors), "m")


def test_an_engine_that_does_not_load_gives_tensorrts_reason(api: TensorRt) -> None:
    with pytest.raises(ModelError, match=r"cannot load m\.engine on this machine: .*Error Code .* Another back end"):
        _deserialise(api, b"nothing", "fp32", "m.engine")
