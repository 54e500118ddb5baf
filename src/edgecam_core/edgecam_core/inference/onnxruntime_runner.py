"""ONNX Runtime: the back end that runs everywhere; on CUDA where its GPU package is installed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgecam_core.errors import InferenceError, MissingDependency, ModelError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.precision import CPU, explicit
from edgecam_core.inference.runner import Runner, RunnerOptions, Tensor

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
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingDependency("the back end 'onnxruntime'", "pip install onnxruntime") from error
        model = explicit(model, options, CPU)
        threads = options.threads or len(os.sched_getaffinity(0))
        session_options = onnxruntime.SessionOptions()
        session_options.log_severity_level = 3  # errors only; they come back as exceptions as well
        session_options.intra_op_num_threads = max(1, threads // options.streams)
        # Spinning would burn a core per thread between two frames of a camera; it gains 8 % at full load.
        session_options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = _providers(onnxruntime)
        try:
            session = onnxruntime.InferenceSession(str(model.path), session_options, providers=providers)
        except Exception as error:  # its exception types are not public
            raise ModelError(f"onnxruntime cannot load {model.path}: {_first_line(error)}") from error
        device = session.get_providers()[0].removesuffix("ExecutionProvider")
        runs_on = f"{device}, {threads} threads" if device == "CPU" else device
        streams = options.streams if device == "CPU" else 1
        return cls(session, streams, f"onnxruntime {onnxruntime.__version__} on {runs_on}, {model.precision}")

    def _infer(self, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            found = self._session.run(self._names, dict(feed))
        except Exception as error:  # its exception types are not public
            raise InferenceError(f"onnxruntime failed: {_first_line(error)}") from error
        return dict(zip(self._names, found, strict=True))


def _providers(onnxruntime: Any) -> list[str]:
    """CUDA where this build of ONNX Runtime has it, and always the CPU behind it."""
    available = onnxruntime.get_available_providers()
    return [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in available]


def _tensor(item: Any) -> Tensor:
    dtype = _DTYPES.get(item.type)
    if dtype is None:
        raise ModelError(f"tensor {item.name!r} has type {item.type}, which no model family here uses")
    return Tensor(np.dtype(dtype), tuple(size if isinstance(size, int) else None for size in item.shape))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
