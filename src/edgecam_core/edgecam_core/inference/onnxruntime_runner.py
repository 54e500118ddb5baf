# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""ONNX Runtime: runs everywhere on the CPU, and on CUDA if its GPU package is installed and loads."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgecam_core.errors import InferenceError, MissingDependency, ModelError, first_line
from edgecam_core.inference.cuda_driver import find_gpu
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.precision import CPU, convert_precision
from edgecam_core.inference.runner import Runner, RunnerOptions, TensorSpec

CUDA_PROVIDER, CPU_PROVIDER = "CUDAExecutionProvider", "CPUExecutionProvider"
_INSTALL_GPU = "pip install onnxruntime-gpu in place of onnxruntime"
_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


class OnnxRuntimeRunner(Runner):
    """A model in an ONNX Runtime session. See :class:`Runner`."""

    name = "onnxruntime"

    def __init__(self, session: Any, streams: int, description: str) -> None:
        inputs = {item.name: _tensor(item) for item in session.get_inputs()}
        outputs = {item.name: _tensor(item) for item in session.get_outputs()}
        super().__init__(inputs, outputs, description)
        self._session = session
        self.streams = streams
        self._names = list(outputs)

    @classmethod
    def load(cls, model: ModelFile, options: RunnerOptions) -> OnnxRuntimeRunner:
        options.require_device(cls.name, "cpu", "cuda")
        onnxruntime = import_onnxruntime()
        problem = "the CPU was requested" if options.device == "cpu" else provider_problem(onnxruntime, CUDA_PROVIDER)
        if options.device != "cpu" and problem:
            _without_cuda(onnxruntime, options, problem)
        on_cuda = not problem
        if on_cuda and "int8" in (options.precision, model.precision):
            options.warn("ONNX Runtime computes int8 on CUDA more slowly than fp32; set precision fp16 or use TensorRT")
        model = convert_precision(model, options, CPU)
        threads = options.threads or len(os.sched_getaffinity(0))
        providers = [CUDA_PROVIDER, CPU_PROVIDER] if on_cuda else [CPU_PROVIDER]
        session = open_session(onnxruntime, model, options, providers)
        if on_cuda and session.get_providers()[0] != CUDA_PROVIDER:
            _without_cuda(onnxruntime, options, "no reason reported; its log on stderr may have one")
            on_cuda = False
        runs_on = "CUDA" if on_cuda else f"CPU, {threads} threads"
        streams = 1 if on_cuda else options.streams
        runner = cls(session, streams, f"onnxruntime {onnxruntime.__version__} on {runs_on}, {model.precision}")
        runner.on_cpu = not on_cuda
        return runner

    def _infer(self, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            outputs = self._session.run(self._names, dict(feed))
        except Exception as error:  # its exception types are not public
            raise InferenceError(f"onnxruntime failed: {first_line(error)}") from error
        return dict(zip(self._names, outputs, strict=True))


def _without_cuda(onnxruntime: Any, options: RunnerOptions, problem: str) -> None:
    """Report the fallback to the CPU: an error if CUDA was requested, a warning if its package is installed."""
    if CUDA_PROVIDER in onnxruntime.get_available_providers():
        options.warn(f"ONNX Runtime does not run on CUDA although its GPU package is installed: {problem}")
    if options.device == "cuda":
        raise ModelError(f"onnxruntime does not run on CUDA: {problem}")


def import_onnxruntime() -> Any:
    """The module ``onnxruntime``.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependency("the back end 'onnxruntime'", "pip install onnxruntime") from error
    return onnxruntime


def open_session(onnxruntime: Any, model: ModelFile, options: RunnerOptions, providers: Sequence[Any]) -> Any:
    """A session of a model; ``providers`` are execution providers in order of preference.

    Raises:
        ModelError: the model cannot be loaded.
    """
    threads = options.threads or len(os.sched_getaffinity(0))
    chosen = session_options(onnxruntime, max(1, threads // options.streams))
    try:
        return onnxruntime.InferenceSession(str(model.path), chosen, providers=list(providers))
    except Exception as error:  # its exception types are not public
        raise ModelError(f"onnxruntime cannot load {model.path}: {first_line(error)}") from error


def cpu_session(source: str | bytes) -> Any:
    """A session on the CPU, one thread per core that may be used; ``source`` is a path or the bytes of an ONNX model.

    Raises:
        MissingDependency: ONNX Runtime is not installed.
        Exception: whatever ONNX Runtime raises where it cannot load the model; its exception types are not public.
    """
    onnxruntime = import_onnxruntime()
    chosen = session_options(onnxruntime, len(os.sched_getaffinity(0)))
    chosen.log_severity_level = 4  # nothing: the caller gets the exception
    return onnxruntime.InferenceSession(source, chosen, providers=["CPUExecutionProvider"])


def session_options(onnxruntime: Any, threads: int) -> Any:
    """Settings of every session: it logs only errors, which also raise exceptions, and idle threads sleep.

    Spinning threads gain 8 % at full load, but occupy one core each between two frames of a camera.
    """
    chosen = onnxruntime.SessionOptions()
    chosen.log_severity_level = 3
    chosen.intra_op_num_threads = threads
    chosen.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return chosen


def provider_problem(onnxruntime: Any, provider: str) -> str:
    """Why a GPU execution provider cannot load; empty if it can.

    ONNX Runtime itself only logs the reason and continues on the CPU.
    """
    if provider not in onnxruntime.get_available_providers():
        return f"this build of ONNX Runtime has no {provider}; {_INSTALL_GPU}"
    if find_gpu() is None:
        return "there is no NVIDIA GPU, or no driver for it"
    if hasattr(onnxruntime, "preload_dlls"):  # since 1.21: loads CUDA and cuDNN from Python packages
        onnxruntime.preload_dlls()
    name = provider.removesuffix("ExecutionProvider").lower()
    library = Path(onnxruntime.__file__).parent / "capi" / f"libonnxruntime_providers_{name}.so"
    return load_problem(library)


def load_problem(library: Path) -> str:
    """The dynamic linker's error, which names the missing library; empty if the library loads."""
    try:
        for needed in (library.with_name("libonnxruntime_providers_shared.so"), library):
            if needed.is_file():  # builds with the provider linked in have no such file
                ctypes.CDLL(str(needed), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        return f"{error}; install the CUDA and cuDNN versions that this ONNX Runtime was built for"
    return ""


def _tensor(item: Any) -> TensorSpec:
    dtype = _DTYPES.get(item.type)
    if dtype is None:
        raise ModelError(f"tensor {item.name!r} has type {item.type}; supported are {', '.join(_DTYPES)}")
    return TensorSpec(np.dtype(dtype), tuple(size if isinstance(size, int) else None for size in item.shape))
