from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from edgecam_core.errors import InferenceError, MissingDependency, ModelError, SettingError
from edgecam_core.inference import RunnerOptions, onnxruntime_runner, open_runner
from edgecam_core.inference.cuda_driver import Gpu, find_gpu
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.onnxruntime_runner import OnnxRuntimeRunner, cpu_session, provider_problem
from edgecam_core.inference.onnxruntime_tensorrt import provider_options
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.worker import DetectionJob, DetectionWorker
from edgecam_core.types import Frame
from onnx import TensorProto, helper
from tiny_models import color_detector, quadrants, save
from waiting import DISCOVERY

IMAGE = np.zeros((1, 3, 8, 8), np.float32)


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    return ModelFile.read(color_detector(tmp_path / "m.onnx"))


def test_a_runner_runs(model: ModelFile) -> None:
    runner = open_runner(model, "onnxruntime", RunnerOptions(threads=1))
    outputs = runner.infer({"input_0": IMAGE})
    assert outputs["scores"].shape == (1, 4, 4)
    assert outputs["scores"][0, 0, 1] == pytest.approx(127 / 255)
    assert "onnxruntime" in runner.description
    assert "1 threads" in runner.description


@pytest.mark.parametrize(
    ("feed", "message"),
    [
        ({}, "input 'input_0' is missing; got none"),
        ({"image": IMAGE}, "input 'input_0' is missing; got image"),
        ({"input_0": IMAGE[:, :, :4]}, r"must be float32 \[1, 3, 8, 8\], got float32 \[1, 3, 4, 8\]"),
        ({"input_0": IMAGE.astype(np.uint8)}, r"must be float32 \[1, 3, 8, 8\], got uint8"),
        ({"input_0": IMAGE[0]}, r"got float32 \[3, 8, 8\]"),
    ],
)
def test_a_wrong_input_is_refused_and_the_next_works(
    model: ModelFile, feed: dict[str, np.ndarray], message: str
) -> None:
    runner = open_runner(model, "onnxruntime")
    with pytest.raises(InferenceError, match=message):
        runner.infer(feed)
    assert runner.infer({"input_0": IMAGE})


def test_threads_without_work_sleep(model: ModelFile) -> None:
    session = cpu_session(str(model.path))
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert session.get_session_options().get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_an_unknown_back_end_is_refused(model: ModelFile) -> None:
    with pytest.raises(SettingError, match="'backend' is 'tensorflow': must be one of auto, "):
        open_runner(model, "tensorflow")


def test_the_error_of_a_missing_back_end_has_the_install_command(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # Python marks a module that cannot be imported in this way
    with pytest.raises(MissingDependency, match="pip install onnxruntime"):
        open_runner(model, "onnxruntime")


def test_auto_selects_a_back_end_that_loads_and_reports_the_others(model: ModelFile) -> None:
    runner = open_runner(model, "auto")
    assert runner.infer({"input_0": IMAGE})
    order = ["tensorrt on cuda", "onnxruntime on cuda", "openvino on cpu", "onnxruntime on cpu"]
    passed_over = list(runner.rejected)
    assert passed_over == order[: len(passed_over)]
    assert all(runner.rejected.values())
    assert open_runner(model, "auto", RunnerOptions(device="cpu")).name in ("openvino", "onnxruntime")


def test_an_accelerator_is_used_only_on_request(model: ModelFile) -> None:
    with pytest.raises(ModelError, match=r"no back end can run .*tensorrt on dla0: "):
        open_runner(model, "auto", RunnerOptions(device="dla0"))
    with pytest.raises(ModelError, match="'device' is 'dla0': the back end 'onnxruntime' runs on cpu and cuda"):
        open_runner(model, "onnxruntime", RunnerOptions(device="dla0"))


class Build:
    """The properties of a build of ONNX Runtime, and its provider library on disk."""

    def __init__(self, folder: Path, *providers: str) -> None:
        self.__file__ = str(folder / "__init__.py")
        self.get_available_providers = lambda: [*providers, "CPUExecutionProvider"]


def test_requested_but_missing_cuda_is_an_error(model: ModelFile) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    for backend in ("onnxruntime", "onnxruntime-tensorrt"):
        with pytest.raises(ModelError, match=r"has no \w+ExecutionProvider; pip install onnxruntime-gpu"):
            open_runner(model, backend, RunnerOptions(device="cuda"))


def test_a_provider_that_does_not_load_names_the_missing_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = Build(tmp_path, "CUDAExecutionProvider")
    if find_gpu() is None:
        assert "no NVIDIA GPU" in provider_problem(build, "CUDAExecutionProvider")
    monkeypatch.setattr(onnxruntime_runner, "find_gpu", lambda: Gpu("Orin", "8.7"))
    assert provider_problem(build, "CUDAExecutionProvider") == ""  # linked in
    (tmp_path / "capi").mkdir()
    compiler = ["gcc", "-shared", "-x", "c", "/dev/null", "-Wl,--no-as-needed", "-L.", "-o"]
    provider = ["libonnxruntime_providers_cuda.so", "-l:libcublasLt_of_another_cuda.so.12"]
    for what in (["libcublasLt_of_another_cuda.so.12"], provider):
        subprocess.run([*compiler, *what], cwd=tmp_path / "capi", check=True)
    (tmp_path / "capi" / "libcublasLt_of_another_cuda.so.12").unlink()
    reason = provider_problem(build, "CUDAExecutionProvider")
    assert reason.startswith("libcublasLt_of_another_cuda.so.12: cannot open shared object file")


def test_falling_back_to_the_cpu_is_reported(model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = Build(tmp_path, "CUDAExecutionProvider")
    monkeypatch.setattr(onnxruntime, "get_available_providers", build.get_available_providers)
    monkeypatch.setattr(onnxruntime_runner, "find_gpu", lambda: None)
    reported: list[str] = []
    runner = open_runner(model, "onnxruntime", RunnerOptions(degraded=reported.append))
    assert "CPU" in runner.description
    warning = "does not run on CUDA although its GPU package is installed: there is no NVIDIA GPU, or no driver for it"
    assert reported == [f"ONNX Runtime {warning}"]
    runner = open_runner(model, "auto", RunnerOptions(degraded=reported.append))
    assert "no NVIDIA GPU" in runner.rejected["onnxruntime on cuda"]
    assert reported == [f"ONNX Runtime {warning}"] * 2


def test_int8_on_cuda_is_reported_as_slow_also_for_an_int8_file(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime_runner, "provider_problem", lambda *_: "")
    reported: list[str] = []
    open_runner(replace(model, precision="int8"), "onnxruntime", RunnerOptions(degraded=reported.append))
    assert reported[0].startswith("ONNX Runtime computes int8 on CUDA more slowly than fp32")
    reported.clear()
    open_runner(model, "onnxruntime", RunnerOptions(degraded=reported.append))
    assert not any("int8" in text for text in reported)


def test_options_for_tensorrt_in_onnxruntime(tmp_path: Path) -> None:
    """Its cache uses names in the graph as keys: other weights must not find the first engine."""
    options = RunnerOptions(cache=tmp_path, max_batch=4)
    path = tmp_path / "m.onnx"
    reported = []
    for number in (1, 2):
        one = ModelFile.read(color_detector(path, batch=None, metadata={"weights": number}))
        reported.append(provider_options(one, options, "1.32.0"))
    assert reported[0]["trt_engine_cache_path"] != reported[1]["trt_engine_cache_path"]
    assert reported[0]["trt_profile_min_shapes"] == "input_0:1x3x8x8"
    assert reported[0]["trt_profile_max_shapes"] == "input_0:4x3x8x8"
    assert not reported[0]["trt_fp16_enable"]


def test_a_worker_loads_runs_and_closes_a_runner_in_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA contexts belong to threads: images may come from any thread, the model may not."""
    seen: dict[str, set[str]] = {"load": set(), "_infer": set(), "close": set()}

    def watched(name: str) -> Callable[..., Any]:
        original = getattr(OnnxRuntimeRunner, name)

        def method(self_or_model: Any, *arguments: Any) -> Any:
            seen[name].add(threading.current_thread().name)
            return original(self_or_model, *arguments)

        return staticmethod(method) if name == "load" else method

    for name in seen:
        monkeypatch.setattr(OnnxRuntimeRunner, name, watched(name))
    settings = DetectorSettings(model=str(color_detector(tmp_path / "m.onnx")), backend="onnxruntime")
    loaded, delivered = threading.Event(), threading.Event()
    worker = DetectionWorker(
        lambda progress: Detector.open(settings, progress), lambda _: loaded.set(), lambda *_: delivered.set(), print
    )
    worker.start()
    assert loaded.wait(DISCOVERY)
    worker.put(DetectionJob("front", Frame.from_array(quadrants(64, 48), "bgr8")))
    assert delivered.wait(DISCOVERY)
    worker.close()
    assert seen == {name: {"detection"} for name in seen}


def test_an_unsupported_operator_is_named(tmp_path: Path) -> None:
    image = helper.make_tensor_value_info("input_0", TensorProto.FLOAT, [1, 3, 8, 8])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, 4]) for name in ("scores", "boxes")]
    node = helper.make_node("FancyDetector", ["input_0"], ["scores", "boxes"], domain="nowhere.example")
    graph = helper.make_graph([node], "g", [image], outputs)
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("nowhere.example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="FancyDetector"):
        open_runner(ModelFile.read(tmp_path / "m.onnx"), "onnxruntime")


@pytest.mark.parametrize("content", [b"", b"not a model\n", b"\x00" * 100])
def test_a_file_that_is_not_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(ModelError, match="not an ONNX file"):
        ModelFile.read(tmp_path / "m.onnx")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    whole = color_detector(tmp_path / "m.onnx").read_bytes()
    for length in range(1, len(whole), max(1, len(whole) // 60)):
        (tmp_path / "cut.onnx").write_bytes(whole[:length])
        with pytest.raises(ModelError, match="not an ONNX file"):
            ModelFile.read(tmp_path / "cut.onnx")


def test_facts_are_read_from_the_metadata(model: ModelFile) -> None:
    assert model.fact("mean") == [127, 127, 127]
    assert model.fact("color") == "rgb"
    assert model.fact("nothing", 5) == 5
    assert len(model.sha256) == 64


def identity_model(path: Path, outputs: dict[str, list[int]], facts: dict[str, object] | None = None) -> ModelFile:
    """A model that returns its weights, with outputs of these shapes."""
    image = helper.make_tensor_value_info("input_0", TensorProto.FLOAT, [1, 3, 8, 8])
    weights = [
        helper.make_tensor(f"w_{name}", TensorProto.FLOAT, shape, np.zeros(shape, np.float32).ravel())
        for name, shape in outputs.items()
    ]
    nodes = [helper.make_node("Identity", [f"w_{name}"], [name]) for name in outputs]
    reported = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
    return ModelFile.read(save(helper.make_graph(nodes, "g", [image], reported, weights), path, facts or {}))


@pytest.mark.parametrize(
    ("outputs", "facts"),
    [
        ({"probabilities": [1, 1000]}, {}),
        ({"scores": [1, 5, 3], "boxes": [1, 6, 4]}, {}),
        ({"scores": [1, 5, 3], "boxes": [1, 5, 5]}, {}),
        ({"probabilities": [1, 1000]}, {"family": "ssd"}),
    ],
)
def test_outputs_that_fit_no_family_are_listed(
    tmp_path: Path, outputs: dict[str, list[int]], facts: dict[str, object]
) -> None:
    from edgecam_core.models.family import open_family

    model = identity_model(tmp_path / "m.onnx", outputs, facts)
    with pytest.raises(ModelError, match=f"do not fit .*inputs input_0 1x3x8x8; outputs {next(iter(outputs))} "):
        open_family(model)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"family": "horoscope"}, "is of family 'horoscope'; this build knows ssd, "),
        ({"mean": "[1, 2]"}, "edgecam.mean = .* must be three numbers"),
        ({"std": "[1, 0, 1]"}, "impossible metadata"),
        ({"color": "cmyk"}, "impossible metadata: color cmyk"),
    ],
)
def test_impossible_metadata_is_refused(tmp_path: Path, facts: dict[str, object], message: str) -> None:
    from edgecam_core.models.family import open_family

    model = identity_model(tmp_path / "m.onnx", {"scores": [1, 5, 3], "boxes": [1, 5, 4]}, facts)
    with pytest.raises(ModelError, match=message):
        open_family(model)
