"""TensorRT: builds or loads the engine for this GPU and runs it through PyCUDA."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgecam_core.errors import EdgecamError, InferenceError, ModelError
from edgecam_core.inference import artifacts
from edgecam_core.inference.cuda_driver import find_gpu
from edgecam_core.inference.cuda_session import CudaContext, CudaSession
from edgecam_core.inference.precision import TENSORRT, explicit
from edgecam_core.inference.runner import Runner, RunnerOptions, Tensor
from edgecam_core.inference.tensorrt_api import TensorRt, import_tensorrt
from edgecam_core.inference.tensorrt_builder import build_engine, engine_precisions, require_precision
from edgecam_core.models.model_file import ModelFile

_PORTABLE = "any RTX"


class TensorRtRunner(Runner):
    """An engine in an execution context. See :class:`Runner`; loading and inference belong to one thread."""

    name = "tensorrt"

    def __init__(
        self, engine: Any, api: TensorRt, context: CudaContext, options: RunnerOptions, description: str
    ) -> None:
        inputs, outputs = _tensors(api, engine)
        super().__init__(inputs, outputs, description)
        self._engine = engine
        self._execution = engine.create_execution_context()
        if self._execution is None:
            raise ModelError("TensorRT cannot create an execution context: the GPU may be out of memory")
        self._context = context
        self._session = CudaSession(context, inputs, outputs, self._enqueue, options.max_batch)
        for name, pointer in self._session.pointers.items():
            self._execution.set_tensor_address(name, pointer)
        self._batch = 0

    @classmethod
    def load(cls, model: ModelFile, options: RunnerOptions) -> TensorRtRunner:
        return cls._open(options, lambda api, gpu: ensure_engine(model, options, api, gpu))

    @classmethod
    def load_engine(cls, path: Path, precision: str, options: RunnerOptions) -> TensorRtRunner:
        """Load an engine that is there already; ``precision`` is what it should compute in, empty if unknown.

        Raises:
            MissingDependency, ModelError: as :meth:`load`; no GPU, or an engine of another version or GPU.
        """
        return cls._open(options, lambda _api, _gpu: (path, precision))

    @classmethod
    def _open(cls, options: RunnerOptions, find: Callable[[TensorRt, str], tuple[Path, str]]) -> TensorRtRunner:
        gpu = find_gpu()  # asked first: it costs nothing, and no library helps a machine without one
        if gpu is None:
            raise ModelError("TensorRT needs an NVIDIA GPU and its driver; none is found")
        api = import_tensorrt()
        context = CudaContext()
        try:
            with context.current():
                path, precision = find(api, str(gpu))
                engine = _deserialise(api, path)
                _verify(api, engine, precision, path)
                return cls(engine, api, context, options, f"{api} on {gpu}, {precision}")
        except EdgecamError:
            context.close()
            raise

    def _infer(self, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return self._session.run(feed)

    def _enqueue(self, batch: int, handle: int, _stream: Any) -> None:
        if batch != self._batch:
            for name, tensor in self.inputs.items():
                if tensor.shape[0] is None:
                    self._execution.set_input_shape(name, (batch, *tensor.shape[1:]))
            self._batch = batch
        if not self._execution.execute_async_v3(handle):
            raise InferenceError("TensorRT could not enqueue the engine")

    def close(self) -> None:
        if self._execution is not None:
            self._session.close()
            with self._context.current():
                self._execution = self._engine = None
            self._context.close()


def ensure_engine(model: ModelFile, options: RunnerOptions, api: TensorRt, gpu: str) -> tuple[Path, str]:
    """The engine's path and precision, built first where the cache has none that fits.

    Raises:
        ModelError: the engine cannot be built.
        CacheError: the cache cannot be written.
    """
    source = explicit(model, options, TENSORRT)
    batch = options.max_batch if any(None in shape for shape in model.inputs.values()) else 1
    facts = {
        "model": model.path.name,
        "model_sha256": model.sha256,
        "onnx_sha256": source.sha256,  # of the fp16 or int8 graph, its calibration included
        "tensorrt": str(api),
        "gpu": _PORTABLE if api.portable else gpu,
        "precision": source.precision,
        "max_batch": batch,
    }
    name = f"{model.path.stem}-{source.precision}-b{batch}-{artifacts.tag(facts)}.{api.flavour}.engine"
    artifact = artifacts.Artifact(artifacts.folder(options.cache) / name)
    path = artifact.get(facts, lambda: build_engine(api, source, batch, options.progress), options)
    return path, source.precision


def _deserialise(api: TensorRt, path: Path) -> Any:
    logger = api.module.Logger(api.module.Logger.ERROR)
    engine = api.module.Runtime(logger).deserialize_cuda_engine(path.read_bytes())
    if engine is None:
        raise ModelError(f"{api} cannot load {path} on this GPU; its log says why. Another back end may work")
    return engine


def _verify(api: TensorRt, engine: Any, precision: str, path: Path) -> None:
    """An engine that lost its precision is an error, not a slow success."""
    inspector = engine.create_engine_inspector()
    found = engine_precisions(inspector.get_engine_information(api.module.LayerInformationFormat.JSON))
    if precision in ("fp16", "int8") and found and not found[precision]:
        require_precision(precision, Counter(found), str(path))


def _tensors(api: TensorRt, engine: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    trt = api.module
    inputs: dict[str, Tensor] = {}
    outputs: dict[str, Tensor] = {}
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        shape = tuple(None if size < 0 else size for size in engine.get_tensor_shape(name))
        tensor = Tensor(np.dtype(trt.nptype(engine.get_tensor_dtype(name))), shape)
        (inputs if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT else outputs)[name] = tensor
    return inputs, outputs
