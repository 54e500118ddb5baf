"""What differs between versions of TensorRT proper, which needs a GPU: a stand-in has their names and keeps the calls.

It shows which flags are set and when an engine is inspected, nothing more: no version of it has run here.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from edgecam_core.errors import ModelError, SettingError
from edgecam_core.inference import open_runner, tensorrt_runner
from edgecam_core.inference.cuda_driver import Gpu
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.runner import RunnerOptions
from edgecam_core.inference.tensorrt_api import TensorRt
from edgecam_core.inference.tensorrt_runner import ensure_engine
from edgecam_core.models.calibration import ImageCalibration
from edgecam_core.models.family import open_family
from tiny_models import color_detector

ORIN = Gpu("Orin", "8.7")
# Version -> network flags it knows with their bits, builder flags it knows.
VERSIONS: dict[str, tuple[dict[str, int], tuple[str, ...]]] = {
    "8.6.2": ({"EXPLICIT_BATCH": 0}, ("FP16", "INT8", "PREFER_PRECISION_CONSTRAINTS")),
    "10.3.0": ({"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1}, ("FP16", "INT8")),
    "11.4.0": ({"STRONGLY_TYPED": 0}, ()),
}


class StandIn:
    """A ``tensorrt`` module of some version, whose engines hold weights of the type ``weights``."""

    def __init__(self, version: str, weights: str = "Half") -> None:
        networks, flags = VERSIONS[version]
        self.network_flags: list[int] = []
        self.builder_flags: list[str] = []
        self.NetworkDefinitionCreationFlag = SimpleNamespace(**networks)
        self.BuilderFlag = SimpleNamespace(**{name: name for name in flags})
        self.MemoryPoolType = SimpleNamespace(WORKSPACE=0)
        self.ProfilingVerbosity = SimpleNamespace(DETAILED=0)
        self.LayerInformationFormat = SimpleNamespace(JSON=0)
        types = ("CONVOLUTION", "DECONVOLUTION", "MATRIX_MULTIPLY", "DEQUANTIZE", "CONSTANT", "SHAPE", "CONCATENATION")
        self.LayerType = SimpleNamespace(**{name: name for name in types})
        self.DataType = SimpleNamespace(FLOAT=0, HALF=1)
        self.IInt8EntropyCalibrator2 = type("IInt8EntropyCalibrator2", (), {})
        self.layers: list[SimpleNamespace] = []
        self.profiles: list[tuple[int, ...]] = []  # the greatest shape of each, that of calibration too
        self.uploaded: list[list[int]] = []  # what the calibrator gave, image by image
        self.ILogger = type("ILogger", (), {"ERROR": 1, "INTERNAL_ERROR": 0})
        layers = [{"Weights": {"Type": weights, "Count": 9}}]
        inspector = SimpleNamespace(get_engine_information=lambda _form: json.dumps({"Layers": layers}))
        engine = SimpleNamespace(create_engine_inspector=lambda: inspector)
        self.Runtime = lambda _logger: SimpleNamespace(deserialize_cuda_engine=lambda _plan: engine)
        self.OnnxParser = lambda _network, _logger: SimpleNamespace(parse=lambda _data, _path: True)

    def Builder(self, _logger: object) -> Any:
        def create_network(flags: int) -> object:
            self.network_flags.append(flags)
            return SimpleNamespace(num_layers=len(self.layers), get_layer=self.layers.__getitem__)

        def build_serialized_network(_network: object, config: Any) -> bytes:
            if config.int8_calibrator is not None:
                assert config.int8_calibrator.get_batch_size() == 1
                self.uploaded += iter(lambda: config.int8_calibrator.get_batch(["input_0"]), None)
            return b"plan"

        config = SimpleNamespace(
            set_memory_pool_limit=lambda *_: None,
            set_flag=self.builder_flags.append,
            add_optimization_profile=lambda profile: self.profiles.append(profile.shape),
            set_calibration_profile=lambda profile: self.profiles.append(profile.shape),
            int8_calibrator=None,
        )
        return SimpleNamespace(
            create_network=create_network,
            create_builder_config=lambda: config,
            create_optimization_profile=Profile,
            build_serialized_network=build_serialized_network,
        )


class Profile:
    def set_shape(self, _name: str, _least: object, _common: object, most: tuple[int, ...]) -> None:
        self.shape = most


class DeviceMemory:
    """``pycuda.driver`` and a context, for as much as calibration needs of them."""

    def __init__(self) -> None:
        self.copies: list[np.ndarray] = []
        self.driver, self.closed = self, False

    def current(self) -> nullcontext[None]:
        return nullcontext()

    def close(self) -> None:
        self.closed = True

    def mem_alloc(self, size: int) -> int:
        return 1000 + size

    def memcpy_htod(self, _memory: int, values: np.ndarray) -> None:
        self.copies.append(values.copy())


def build(stand_in: StandIn, version: str, folder: Path, precision: str, gpu: Gpu | None = ORIN) -> Path:
    model = replace(ModelFile.read(color_detector(folder / "m.onnx")), precision=precision)
    api = TensorRt(stand_in, "tensorrt", version)
    return ensure_engine(model, RunnerOptions(cache=folder / "engines"), api, gpu)[0]


@pytest.mark.parametrize(
    ("version", "precision", "network", "builder"),
    [
        ("8.6.2", "fp32", 0b01, []),
        ("8.6.2", "fp16", 0b01, ["FP16", "PREFER_PRECISION_CONSTRAINTS"]),
        ("8.6.2", "int8", 0b01, ["INT8", "FP16", "PREFER_PRECISION_CONSTRAINTS"]),
        ("10.3.0", "fp16", 0b11, []),
        ("11.4.0", "fp16", 0b01, []),
    ],
)
def test_precision_is_in_the_file_and_flags_only_let_8_use_it(
    tmp_path: Path, version: str, precision: str, network: int, builder: list[str]
) -> None:
    stand_in = StandIn(version, {"fp32": "Float", "fp16": "Half", "int8": "Int8"}[precision])
    path = build(stand_in, version, tmp_path, precision)
    assert stand_in.network_flags == [network]
    assert stand_in.builder_flags == builder
    facts = json.loads(path.with_name(f"{path.name}.json").read_text())
    assert facts["gpu"] == "Orin (compute capability 8.7)"
    assert facts["tensorrt"].startswith(f"tensorrt {version}")


def test_an_engine_that_came_out_fp32_is_not_kept(tmp_path: Path) -> None:
    stand_in = StandIn("8.6.2", weights="Float")
    with pytest.raises(ModelError, match=r"m-fp16-b1-.* should be fp16, but its convolutions came out as 1 fp32"):
        build(stand_in, "8.6.2", tmp_path, "fp16")
    assert not list((tmp_path / "engines").glob("*.engine"))


def test_another_gpu_gets_another_engine_and_the_log_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = build(StandIn("10.3.0"), "10.3.0", tmp_path, "fp16")
    second = build(StandIn("10.3.0"), "10.3.0", tmp_path, "fp16", Gpu("Orin", "8.6"))
    assert first != second
    assert f"as for {first.name}, gpu is 'Orin (compute capability 8.6)' now" in caplog.text


def test_what_tensorrt_throws_lets_auto_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_logger: object) -> None:
        raise TypeError("factory function returned nullptr")

    stand_in, closed = StandIn("10.3.0"), []
    stand_in.Runtime = fail
    context = SimpleNamespace(current=nullcontext, close=lambda: closed.append(True))
    monkeypatch.setattr(tensorrt_runner, "find_gpu", lambda: ORIN)
    monkeypatch.setattr(tensorrt_runner, "import_tensorrt", lambda: TensorRt(stand_in, "tensorrt", "10.3.0"))
    monkeypatch.setattr(tensorrt_runner, "CudaContext", lambda: context)
    runner = open_runner(ModelFile.read(color_detector(tmp_path / "m.onnx")), "auto", RunnerOptions(cache=tmp_path))
    assert "cannot be used on Orin (compute capability 8.7): factory function" in runner.rejected["tensorrt on cuda"]
    assert closed == [True]


def test_it_does_not_build_where_there_is_no_gpu(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="builds for the NVIDIA GPU it finds, and finds none"):
        build(StandIn("10.3.0"), "10.3.0", tmp_path, "fp16", None)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> DeviceMemory:
    made = DeviceMemory()
    monkeypatch.setattr(tensorrt_runner, "CudaContext", lambda: made)
    return made


def calibrated(folder: Path, stand_in: StandIn, images: Path | None, told: list[str] | None = None) -> Path:
    model = ModelFile.read(color_detector(folder / "m.onnx", batch=None))
    options = RunnerOptions(
        precision="int8",
        cache=folder / "engines",
        max_batch=4,
        calibration=ImageCalibration(images, open_family(model).spec) if images else None,
        progress=(told if told is not None else []).append,
    )
    return ensure_engine(model, options, TensorRt(stand_in, "tensorrt", "8.6.2"), ORIN)[0]


def photos(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((48, 64, 3), 40 * number, np.uint8))
    return folder


def test_8_is_calibrated_with_the_images_one_by_one(tmp_path: Path, memory: DeviceMemory) -> None:
    stand_in, told = StandIn("8.6.2", weights="Int8"), []
    path = calibrated(tmp_path, stand_in, photos(tmp_path / "photos", 3), told)
    assert [values.shape[0] for values in memory.copies] == [1, 1, 1]
    assert [float(values.max()) for values in memory.copies] == sorted({float(v.max()) for v in memory.copies})
    assert stand_in.uploaded == [[1000 + memory.copies[0].nbytes]] * 3
    assert [shape[0] for shape in stand_in.profiles] == [4, 1]
    assert "calibrating int8: image 3 of 3" in told
    assert stand_in.builder_flags == ["INT8", "FP16", "PREFER_PRECISION_CONSTRAINTS"]
    assert memory.closed
    assert calibrated(tmp_path, StandIn("8.6.2"), None) == path  # the engine is there: no images needed


def test_8_calibrates_again_with_other_images_and_needs_some(tmp_path: Path, memory: DeviceMemory) -> None:
    with pytest.raises(ModelError, match="needs parameter 'calibration'"):
        calibrated(tmp_path, StandIn("8.6.2"), None)
    calibrated(tmp_path, StandIn("8.6.2", weights="Int8"), photos(tmp_path / "some", 1))
    calibrated(tmp_path, StandIn("8.6.2", weights="Int8"), photos(tmp_path / "more", 2))
    assert len(memory.copies) == 3


def test_8_builds_nothing_of_a_image_that_cannot_be_read(tmp_path: Path, memory: DeviceMemory) -> None:
    images = photos(tmp_path / "photos", 3)
    (images / "1.png").write_bytes(b"no image")
    with pytest.raises(SettingError, match=r"1\.png"):
        calibrated(tmp_path, StandIn("8.6.2", weights="Int8"), images)
    assert len(memory.copies) == 1
    assert not list((tmp_path / "engines").glob("*.engine"))


def test_8_keeps_the_decoding_in_fp32(tmp_path: Path, memory: DeviceMemory) -> None:
    stand_in = StandIn("8.6.2", weights="Int8")

    def layer(tensor: str, kind: str = "ELEMENTWISE", dtype: int = 0) -> SimpleNamespace:
        output = SimpleNamespace(name=tensor, dtype=dtype)
        return SimpleNamespace(type=kind, get_output=lambda _index: output, num_outputs=1, num_inputs=0)

    boxes, int64, constant = layer("boxes"), layer("scores", dtype=3), layer("scores", "CONSTANT")
    stand_in.layers = [boxes, int64, constant, layer("of no node")]
    calibrated(tmp_path, stand_in, photos(tmp_path / "photos", 1))
    assert [vars(one).get("precision") for one in stand_in.layers] == [stand_in.DataType.FLOAT, None, None, None]
