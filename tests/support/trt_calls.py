"""Our calls to TensorRT, checked against the real bindings of one version.

``test_tensorrt_versions.py`` runs this file with pytest once for each version, in a process that imports its bindings.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import tensorrt_bindings as trt
from edgecam_core.errors import InferenceError, ModelError, SettingError
from edgecam_core.inference import open_runner, tensorrt_runner
from edgecam_core.inference.cuda_driver import Gpu
from edgecam_core.inference.cuda_memory import CudaContext
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.runner import RunnerOptions, TensorSpec
from edgecam_core.inference.tensorrt_api import TensorRt, import_tensorrt
from edgecam_core.inference.tensorrt_builder import collecting_logger
from edgecam_core.inference.tensorrt_runner import TensorRtRunner, ensure_engine
from edgecam_core.models.family import open_family
from edgecam_core.models.image_calibration import ImageCalibration
from tiny_models import color_detector
from trt_checked import Checked, Misuse, Module

MAJOR = int(trt.__version__.split(".")[0])
ORIN = Gpu("Orin", "8.7")
calibrating = pytest.mark.skipif(MAJOR > 10, reason="has a calibrator")


class FakeTensorRT:
    """The part of TensorRT that our code calls: real classes and enums, scripted results."""

    def __init__(self, weights: str = "Half", layers: list[Checked] | None = None, dlas: int = 2) -> None:
        self.layers, self.weights = layers or [], weights
        self.timing_given: list[bytes] = []
        self.uploaded: list[list[int]] = []
        self.config = Checked(trt, trt.IBuilderConfig, {"create_timing_cache": self._timing, "set_timing_cache": True})
        self.profiles: list[Checked] = []
        self.networks: list[int] = []
        builder = {
            "create_network": self._network,
            "create_builder_config": lambda: self.config,
            "create_optimization_profile": self._profile,
            "build_serialized_network": self._build,
            "num_DLA_cores": dlas,
        }
        self.module = Module(
            trt,
            {
                "Builder": builder,
                "OnnxParser": {"parse": True, "num_errors": 0},
                "Runtime": {"deserialize_cuda_engine": lambda _plan: engine(self.weights)},
            },
        )
        self.api = TensorRt(self.module, "tensorrt", trt.__version__)

    def _network(self, flags: int) -> Checked:
        self.networks.append(flags)
        image = Checked(trt, trt.ITensor, {"name": "input_0"})
        self.tensors = [image, *(one.get_output(0) for one in self.layers)]
        script = {
            "num_layers": len(self.layers), "get_layer": self.layers.__getitem__,
            "num_inputs": 1, "get_input": [image].__getitem__,
        }  # fmt: skip
        return Checked(trt, trt.INetworkDefinition, script)

    def _profile(self) -> Checked:
        self.profiles.append(Checked(trt, trt.IOptimizationProfile))
        return self.profiles[-1]

    def _timing(self, before: bytes) -> Checked:
        self.timing_given.append(before)
        return Checked(trt, trt.ITimingCache, {"serialize": before + b"measured "})

    def _build(self, _network: Checked, config: Checked) -> bytes:
        images = config.values.get("int8_calibrator")
        if images is not None:
            assert images.get_batch_size() == 1
            assert images.read_calibration_cache() is None
            self.uploaded += iter(lambda: images.get_batch(["input_0"]), None)
        return b"plan"

    def called(self, name: str) -> list[tuple[Any, ...]]:
        return [arguments for method, arguments in self.config.calls if method == name]

    @property
    def flags(self) -> list[str]:
        return [flag.name for (flag,) in self.called("set_flag")]


def engine(weights: str, tensors: dict[str, tuple[Any, tuple[int, ...], Any]] | None = None, **script: Any) -> Checked:
    layers = json.dumps({"Layers": [{"Weights": {"Type": weights, "Count": 9}}]})
    inspector = Checked(trt, trt.EngineInspector, {"get_engine_information": layers})
    tensors = tensors or {}
    names = list(tensors)
    return Checked(
        trt,
        trt.ICudaEngine,
        {
            "create_engine_inspector": inspector,
            "num_io_tensors": len(names),
            "get_tensor_name": names.__getitem__,
            "get_tensor_mode": lambda name: tensors[name][0],
            "get_tensor_shape": lambda name: tensors[name][1],
            "get_tensor_dtype": lambda name: tensors[name][2],
            **script,
        },
    )


def build(fake: FakeTensorRT, folder: Path, precision: str = "fp32", gpu: Gpu | None = ORIN, **options: Any) -> Path:
    """For a model whose file states that precision."""
    model = replace(ModelFile.read(color_detector(folder / "m.onnx")), precision=precision)
    return ensure_engine(model, RunnerOptions(cache=folder / "engines", **options), fake.api, gpu)[0]


WORD = {"fp32": "Float", "fp16": "Half", "int8": "Int8"}
WEAK_FLAGS = {
    "fp32": [],
    "fp16": ["FP16", "OBEY_PRECISION_CONSTRAINTS"],
    "int8": ["INT8", "FP16", "OBEY_PRECISION_CONSTRAINTS"],
}


@pytest.mark.parametrize("precision", WORD)
def test_precision_comes_from_the_file_and_flags_only_permit_it_in_8(tmp_path: Path, precision: str) -> None:
    fake = FakeTensorRT(WORD[precision])
    path = build(fake, tmp_path, precision)
    assert fake.networks == [{8: 0b01, 10: 0b11, 11: 0b01}[MAJOR]]
    assert fake.flags == (WEAK_FLAGS[precision] if MAJOR < 10 else [])
    facts = json.loads(path.with_name(f"{path.name}.json").read_text())
    assert facts["gpu"] == "Orin (compute capability 8.7)"
    assert facts["tensorrt"].startswith(f"tensorrt {trt.__version__}")


def test_the_weights_next_to_a_model_are_found_by_its_path(tmp_path: Path) -> None:
    fake = FakeTensorRT("Float")
    build(fake, tmp_path)
    (parser,) = fake.module.made["OnnxParser"]
    ((name, (data, path)),) = [call for call in parser.calls if call[0] == "parse"]
    assert (name, path) == ("parse", str(tmp_path / "m.onnx"))
    assert data == (tmp_path / "m.onnx").read_bytes()


def test_plugins_are_registered_before_parsing_and_before_loading(tmp_path: Path) -> None:
    fake = FakeTensorRT("Float")
    build(fake, tmp_path)
    assert [(name, given[1]) for name, given in fake.module.called] == [("init_libnvinfer_plugins", "")] * 2


def test_steps_are_reported_if_there_are_any(tmp_path: Path) -> None:
    reports: list[str] = []
    fake = FakeTensorRT("Float")
    build(fake, tmp_path, progress=reports.append)
    if MAJOR < 10:
        assert reports == [f"building the engine; TensorRT {trt.__version__} reports no steps and cannot be stopped"]
        return
    monitor = fake.config.values["progress_monitor"]
    assert isinstance(monitor, trt.IProgressMonitor)
    monitor.phase_start("Tactics", None, 5)
    assert monitor.step_complete("Tactics", 1)
    monitor.phase_finish("Tactics")
    assert reports[-1] == "building the engine: tactics 2 of 5"


def test_measurements_are_kept_with_the_engines(tmp_path: Path) -> None:
    for number in range(3):
        fake = FakeTensorRT("Float")
        build(fake, tmp_path, rebuild=True)
        assert fake.timing_given == [b"measured " * number]
        assert fake.called("set_timing_cache")[0][1] is False
    (kept,) = (tmp_path / "engines").glob("timing-*.cache")
    kept.write_bytes(b"damaged")
    fake = FakeTensorRT("Float")
    build(fake, tmp_path, rebuild=True)
    assert fake.timing_given == [b""]


def test_an_engine_that_came_out_fp32_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"m-fp16-b1-.* should be fp16, but its convolutions are 1 fp32"):
        build(FakeTensorRT("Float"), tmp_path, "fp16")
    assert not list((tmp_path / "engines").glob("*.engine"))


def test_another_gpu_gets_another_engine_and_the_log_reports_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = build(FakeTensorRT(), tmp_path, "fp16")
    second = build(FakeTensorRT(), tmp_path, "fp16", Gpu("Orin", "8.6"))
    assert first != second
    assert f"as for {first.name}, gpu is 'Orin (compute capability 8.6)' now" in caplog.text


def test_it_does_not_build_where_there_is_no_gpu(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="builds for the NVIDIA GPU it finds, and finds none"):
        build(FakeTensorRT(), tmp_path, "fp16", None)


def test_layers_that_a_dla_cannot_run_fall_back_to_the_gpu(tmp_path: Path) -> None:
    fake = FakeTensorRT()
    path = build(fake, tmp_path, "fp16", device="dla1")
    assert fake.config.values["default_device_type"] == trt.DeviceType.DLA
    assert fake.config.values["DLA_core"] == 1
    assert "GPU_FALLBACK" in fake.flags
    assert fake.networks == [0b01]  # strongly typed only where nothing else exists
    assert fake.flags[:-1] == (WEAK_FLAGS["fp16"] if MAJOR <= 10 else [])
    assert fake.module.made["Runtime"][0].values["DLA_core"] == 1
    assert path != build(FakeTensorRT(), tmp_path, "fp16")


@pytest.mark.parametrize(
    ("dlas", "precision", "message"),
    [
        (0, "fp16", "'device' is 'dla0': TensorRT .* finds none here; use auto"),
        (2, "fp32", "'device' is 'dla0', which computes fp16 or int8"),
    ],
)
def test_a_missing_dla_is_refused(tmp_path: Path, dlas: int, precision: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build(FakeTensorRT(dlas=dlas), tmp_path, precision, device="dla0")


def layer(tensor: str, kind: Any, dtype: Any) -> Checked:
    output = Checked(trt, trt.ITensor, {"name": tensor, "dtype": dtype})
    script = {"type": kind, "get_output": lambda _index: output, "num_outputs": 1, "num_inputs": 0}
    return Checked(trt, trt.ILayer, script)


class HostContext(CudaContext):
    """Host memory in place of GPU memory, so that copies and sizes are real."""

    def __init__(self) -> None:
        super().__init__(0, shared=False)
        self.memory: dict[int, np.ndarray] = {}
        self.copies: list[np.ndarray] = []
        self.closed = self.full = False

    def _push(self) -> None: ...

    def _pop(self) -> None: ...

    def host(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        return np.zeros(shape, dtype)

    def device_address(self, host: np.ndarray) -> int:
        raise NotImplementedError

    def allocate(self, size: int) -> int:
        if self.full:
            raise InferenceError("out of memory")
        memory = np.zeros(size, np.uint8)
        self.memory[memory.ctypes.data] = memory
        return memory.ctypes.data

    def free(self, pointer: int) -> None:
        del self.memory[pointer]

    def upload(self, pointer: int, host: np.ndarray, stream: int = 0) -> None:
        self.copies.append(host.copy())
        self.memory[pointer][: host.nbytes] = host.reshape(-1).view(np.uint8)

    def download(self, host: np.ndarray, pointer: int, stream: int = 0) -> None:
        host.reshape(-1).view(np.uint8)[:] = self.memory[pointer][: host.nbytes]

    def stream(self) -> int:
        return 7

    def synchronize(self, stream: int) -> None: ...

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> HostContext:
    made = HostContext()
    monkeypatch.setattr(tensorrt_runner, "open_context", lambda: made)
    return made


def photos(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((48, 64, 3), 40 * number, np.uint8))
    return folder


def calibrated(folder: Path, fake: FakeTensorRT, images: Path | None, reports: list[str] | None = None) -> Path:
    model = ModelFile.read(color_detector(folder / "m.onnx", batch=None))
    options = RunnerOptions(
        precision="int8",
        device="dla0" if MAJOR == 10 else "auto",  # 10 calibrates only where strong typing is impossible
        cache=folder / "engines",
        max_batch=4,
        calibration=ImageCalibration(images, open_family(model).spec) if images else None,
        progress=(reports if reports is not None else []).append,
    )
    return ensure_engine(model, options, fake.api, ORIN)[0]


@calibrating
def test_tensorrt_8_is_calibrated_with_the_images_one_by_one(tmp_path: Path, context: HostContext) -> None:
    fake, reports = FakeTensorRT("Int8"), list[str]()
    path = calibrated(tmp_path, fake, photos(tmp_path / "photos", 3), reports)
    assert [values.shape[0] for values in context.copies] == [1, 1, 1]
    assert [float(values.max()) for values in context.copies] == sorted({float(v.max()) for v in context.copies})
    assert len(fake.uploaded) == 3
    assert [next(iter(profile.calls[0][1][3])) for profile in fake.profiles] == [4, 1]
    assert "calibrating int8: image 3 of 3" in reports
    assert fake.flags[:3] == WEAK_FLAGS["int8"]
    assert context.closed
    assert not context.memory  # all memory is freed
    assert calibrated(tmp_path, FakeTensorRT(), None) == path  # the engine exists: no images are needed


@calibrating
def test_tensorrt_8_calibrates_again_with_other_images_and_needs_some(tmp_path: Path, context: HostContext) -> None:
    with pytest.raises(ModelError, match="needs parameter 'calibration'"):
        calibrated(tmp_path, FakeTensorRT(), None)
    calibrated(tmp_path, FakeTensorRT("Int8"), photos(tmp_path / "some", 1))
    calibrated(tmp_path, FakeTensorRT("Int8"), photos(tmp_path / "more", 2))
    assert len(context.copies) == 3


@calibrating
def test_tensorrt_8_builds_nothing_with_an_image_that_cannot_be_read(tmp_path: Path, context: HostContext) -> None:
    images = photos(tmp_path / "photos", 3)
    (images / "1.png").write_bytes(b"no image")
    with pytest.raises(SettingError, match=r"1\.png"):
        calibrated(tmp_path, FakeTensorRT("Int8"), images)
    assert len(context.copies) == 1
    assert not list((tmp_path / "engines").glob("*.engine"))


@calibrating
def test_tensorrt_8_keeps_the_decoding_in_fp32(tmp_path: Path, context: HostContext) -> None:
    kinds, types = trt.LayerType, trt.DataType
    boxes = layer("boxes", kinds.ELEMENTWISE, types.FLOAT)
    others = [
        layer("scores", kinds.ELEMENTWISE, types.INT32),
        layer("scores", kinds.CONSTANT, types.FLOAT),
        layer("of no node", kinds.ELEMENTWISE, types.FLOAT),
    ]
    calibrated(tmp_path, FakeTensorRT("Int8", [boxes, *others]), photos(tmp_path / "photos", 1))
    assert boxes.values == {"precision": types.FLOAT}
    assert boxes.calls[-1] == ("set_output_type", (0, types.FLOAT))
    assert all(not one.values and "set_output_type" not in dict(one.calls) for one in others)


RANGES = {"input_0": [-1.0, 0.5], "pooled": [-3.0, 6.0], "elsewhere": [0, 1]}


def ranged(folder: Path, fake: FakeTensorRT, ranges: dict[str, list[float]] | None = None, images: Any = None) -> Path:
    facts = {"ranges": json.dumps(RANGES if ranges is None else ranges)}
    model = ModelFile.read(color_detector(folder / "m.onnx", metadata=facts))
    options = RunnerOptions(
        precision="int8", device="dla0" if MAJOR == 10 else "auto", cache=folder / "engines", calibration=images
    )
    return ensure_engine(model, options, fake.api, ORIN)[0]


@calibrating
def test_tensorrt_8_uses_the_ranges_of_a_model_instead_of_images(tmp_path: Path) -> None:
    kinds, types = trt.LayerType, trt.DataType
    names = ("pooled", "scaled", "boxes")
    fake = FakeTensorRT("Int8", [layer(name, kinds.ELEMENTWISE, types.FLOAT) for name in names])
    path = ranged(tmp_path, fake)
    dynamic_ranges = {
        tensor.name: [given for name, given in tensor.calls if name == "set_dynamic_range"] for tensor in fake.tensors
    }
    assert dynamic_ranges == {"input_0": [(-1.0, 1.0)], "pooled": [(-6.0, 6.0)], "scaled": [], "boxes": []}
    assert "int8_calibrator" not in fake.config.values
    assert fake.flags[:3] == WEAK_FLAGS["int8"]
    assert fake.layers[2].values == {"precision": types.FLOAT}  # the decoding
    assert json.loads(path.with_name(f"{path.name}.json").read_text())["ranges"] == "those in the model"


@calibrating
def test_tensorrt_8_prefers_given_images_to_the_ranges_of_the_model(tmp_path: Path, context: HostContext) -> None:
    first = ranged(tmp_path, FakeTensorRT("Int8", [layer("pooled", trt.LayerType.ELEMENTWISE, trt.DataType.FLOAT)]))
    model = ModelFile.read(tmp_path / "m.onnx")
    images = ImageCalibration(photos(tmp_path / "photos", 2), open_family(model).spec)
    assert ranged(tmp_path, FakeTensorRT("Int8"), images=images) != first
    assert len(context.copies) == 2
    assert ranged(tmp_path, FakeTensorRT("Int8")) == first  # the first engine is used again


@calibrating
def test_tensorrt_8_refuses_ranges_of_other_tensors(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"has edgecam\.ranges of elsewhere, \.\.\., but TensorRT's network has no such"
    ):
        ranged(tmp_path, FakeTensorRT("Int8"), {"elsewhere": [0, 1]})


def test_an_exception_of_tensorrt_makes_auto_try_the_next_back_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_plan: bytes) -> None:
        raise TypeError("factory function returned nullptr")

    fake, closed = FakeTensorRT(), list[bool]()
    fake.module._scripts["Runtime"]["deserialize_cuda_engine"] = fail
    context = SimpleNamespace(current=nullcontext, close=lambda: closed.append(True))
    monkeypatch.setattr(tensorrt_runner, "find_gpu", lambda: ORIN)
    monkeypatch.setattr(tensorrt_runner, "import_tensorrt", lambda: fake.api)
    monkeypatch.setattr(tensorrt_runner, "open_context", lambda: context)
    runner = open_runner(ModelFile.read(color_detector(tmp_path / "m.onnx")), "auto", RunnerOptions(cache=tmp_path))
    assert "cannot be used on Orin (compute capability 8.7): factory function" in runner.rejected["tensorrt on cuda"]
    assert closed == [True]


INPUT, OUTPUT, FLOAT = trt.TensorIOMode.INPUT, trt.TensorIOMode.OUTPUT, trt.DataType.FLOAT


class DynamicEngine:
    """An engine whose output ``boxes`` has as many rows as the first input value."""

    def __init__(self, context: HostContext, boxes: tuple[int, ...], image: tuple[int, ...]) -> None:
        self.context, self.boxes, self.image = context, boxes, image
        self.addresses: dict[str, int] = {}
        self.allocators: dict[str, Any] = {}
        self.shapes: list[tuple[int, ...]] = []
        script = {
            "get_tensor_shape": lambda name: self.boxes if name == "boxes" else self.image,
            "set_tensor_address": lambda name, address: self.addresses.update({name: address}) or True,
            "set_output_allocator": lambda name, allocator: self.allocators.update({name: allocator}) or True,
            "set_input_shape": self._set_input_shape,
            "execute_async_v3": self._execute,
        }
        execution = Checked(trt, trt.IExecutionContext, script)
        tensors = {"input_0": (INPUT, image, FLOAT), "boxes": (OUTPUT, boxes, FLOAT)}
        self.engine = engine("Float", tensors, create_execution_context=execution)

    def _set_input_shape(self, _name: str, shape: tuple[int, ...]) -> bool:
        self.shapes.append(tuple(shape))
        return True

    def _execute(self, stream_handle: int) -> bool:
        assert stream_handle == 7
        rows = int(self.context.memory[self.addresses["input_0"]][:4].view(np.float32)[0])
        allocator = self.allocators["boxes"]
        memory = allocator.reallocate_output_async("boxes", 0, max(1, rows * 16), 256, stream_handle)
        if not memory:
            return False
        values = np.arange(rows * 4, dtype=np.float32)
        self.context.memory[memory][: values.nbytes] = values.view(np.uint8)
        allocator.notify_shape("boxes", (rows, 4))
        return True


def open_engine(running: DynamicEngine, context: HostContext, max_batch: int = 1) -> TensorRtRunner:
    api = TensorRt(trt, "tensorrt", trt.__version__)
    return TensorRtRunner(running.engine, collecting_logger(trt), api, context, max_batch, "")


def test_outputs_of_data_dependent_size_are_returned_complete() -> None:
    context = HostContext()
    running = DynamicEngine(context, boxes=(-1, 4), image=(1, 1))
    runner = open_engine(running, context)
    assert isinstance(running.allocators["boxes"], trt.IOutputAllocator)
    assert runner.outputs["boxes"] == TensorSpec(np.dtype(np.float32), (None, 4))
    for rows in (3, 100, 0, 7):
        found = runner.infer({"input_0": np.full((1, 1), rows, np.float32)})["boxes"]
        np.testing.assert_array_equal(found, np.arange(rows * 4, dtype=np.float32).reshape(rows, 4))
    context.full = True
    with pytest.raises(InferenceError, match="could not enqueue"):
        runner.infer({"input_0": np.full((1, 1), 1000, np.float32)})
    runner.close()


def test_a_free_batch_is_not_a_data_dependent_size() -> None:
    context = HostContext()
    running = DynamicEngine(context, boxes=(4, 4), image=(-1, 1))  # once the input has a shape, so has the output
    runner = open_engine(running, context, max_batch=4)
    assert running.shapes == [(4, 1)]
    assert running.allocators == {}
    assert set(running.addresses) == {"input_0", "boxes"}
    runner.close()


def test_the_package_is_found_under_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    assert import_tensorrt().version == trt.__version__
    assert import_tensorrt().strongly_typed == (MAJOR >= 10)
    assert import_tensorrt().takes_flags == (MAJOR <= 10)


def _wrong_type(fake: FakeTensorRT) -> None:
    fake.config.set_flag("FP16")


def _too_many(fake: FakeTensorRT) -> None:
    fake.config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 1, 2)


def _no_such_member(fake: FakeTensorRT) -> None:
    fake.config.max_workspace_size_in_bytes = 1


@pytest.mark.parametrize("mistake", [_wrong_type, _too_many, _no_such_member])
def test_the_check_itself_notices_mistakes(mistake: Callable[[FakeTensorRT], None]) -> None:
    with pytest.raises(Misuse):
        mistake(FakeTensorRT())
    with pytest.raises(AttributeError):
        FakeTensorRT().config.no_such_method()
