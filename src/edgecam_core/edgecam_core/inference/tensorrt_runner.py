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

"""TensorRT: builds or loads the engine for this GPU and runs it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from edgecam_core.cache import CacheError
from edgecam_core.errors import EdgecamError, InferenceError, ModelError
from edgecam_core.inference import artifacts
from edgecam_core.inference.cuda_driver import Gpu, find_gpu
from edgecam_core.inference.cuda_memory import CudaContext, open_context
from edgecam_core.inference.cuda_session import CudaSession
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.precision import TENSORRT, convert_precision, require_calibration
from edgecam_core.inference.runner import Runner, RunnerOptions, TensorSpec
from edgecam_core.inference.shipped_int8 import has_ranges
from edgecam_core.inference.tensorrt_api import TensorRt, import_tensorrt
from edgecam_core.inference.tensorrt_builder import Recipe, build_engine, collecting_logger
from edgecam_core.inference.tensorrt_calibrator import calibrator
from edgecam_core.inference.tensorrt_precision import require_engine_precision

_PORTABLE = "any RTX"
log = logging.getLogger(__name__)


class TensorRtRunner(Runner):
    """An engine with its execution context. See :class:`Runner`. Load it in the thread that infers."""

    name = "tensorrt"

    def __init__(
        self, engine: Any, logger: Any, api: TensorRt, context: CudaContext, max_batch: int, description: str
    ) -> None:
        inputs, outputs = _tensors(api, engine)
        super().__init__(inputs, outputs, description)
        self._engine, self._logger = engine, logger
        self._execution = engine.create_execution_context()
        if self._execution is None:
            raise ModelError(f"TensorRT cannot create an execution context (GPU out of memory?): {logger.text()}")
        self._context = context
        self._batch = 0
        self._shape_inputs(max_batch)
        data_dependent = [name for name in outputs if any(size < 0 for size in self._execution.get_tensor_shape(name))]
        self._session = CudaSession(context, inputs, outputs, self._enqueue, max_batch, data_dependent=data_dependent)
        for name, pointer in self._session.pointers.items():
            self._execution.set_tensor_address(name, pointer)
        self._allocator = output_allocator(api.module, self._session) if data_dependent else None
        for name in data_dependent:
            self._execution.set_output_allocator(name, self._allocator)

    @classmethod
    def load(cls, model: ModelFile, options: RunnerOptions) -> TensorRtRunner:
        options.require_device(cls.name, "cuda", "dla0", "dla1")
        return cls._open(options, lambda api, gpu: ensure_engine(model, options, api, gpu))

    @classmethod
    def load_engine(cls, path: Path, options: RunnerOptions) -> TensorRtRunner:
        """Load an existing engine file from any folder; the sidecar next to it must describe this file.

        Raises:
            MissingDependency: as :meth:`load`.
            ModelError: as :meth:`load`; also if the sidecar does not match the file, or if the engine was built for
                another TensorRT version or GPU.
        """
        artifact = artifacts.Artifact(path)
        if reason := artifact.mismatch({}):
            raise ModelError(f"{path} is not loaded: {reason}; build it with edgecam engine build")
        return cls._open(options, lambda _api, _gpu: (path, str(artifact.facts().get("precision", ""))))

    @classmethod
    def _open(cls, options: RunnerOptions, find: Callable[[TensorRt, Gpu], tuple[Path, str]]) -> TensorRtRunner:
        gpu = find_gpu()  # first, because it is cheap and needs no library
        if gpu is None:
            raise ModelError("TensorRT needs an NVIDIA GPU and its driver; none is found")
        api = import_tensorrt()
        context = open_context()
        try:
            with context.current():
                path, precision = find(api, gpu)
                engine, logger = _deserialise(api, path.read_bytes(), precision, str(path), _dla(options))
                on = f"{options.device} of {gpu}" if _dla(options) is not None else str(gpu)
                return cls(engine, logger, api, context, options.max_batch, f"{api} on {on}, {precision}")
        except Exception as error:
            context.close()
            if isinstance(error, EdgecamError):
                raise
            raise ModelError(f"{api} cannot be used on {gpu}: {error}") from error  # from CUDA or TensorRT

    def _infer(self, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return self._session.run(feed)

    def _shape_inputs(self, batch: int) -> None:
        if batch != self._batch:
            for name, tensor in self.inputs.items():
                if tensor.shape[:1] == (None,):
                    self._execution.set_input_shape(name, (batch, *tensor.shape[1:]))
            self._batch = batch

    def _enqueue(self, batch: int, handle: int) -> None:
        self._shape_inputs(batch)
        if not self._execution.execute_async_v3(handle):
            raise InferenceError(f"TensorRT could not enqueue the engine: {self._logger.text()}")

    def close(self) -> None:
        if self._execution is not None:
            self._session.close()
            with self._context.current():
                self._execution = self._engine = None
            self._context.close()


def ensure_engine(model: ModelFile, options: RunnerOptions, api: TensorRt, gpu: Gpu | None) -> tuple[Path, str]:
    """The engine's path and precision. Builds it first if the cache has no matching one.

    Raises:
        ModelError: the engine cannot be built, or needs a GPU to be built.
        CacheError: see :meth:`Artifact.get`.
    """
    if gpu is None and not api.portable:
        raise ModelError(f"{api} builds for the NVIDIA GPU it finds, and finds none; build where the engine will run")
    dla = _dla(options)
    # Strongly typed networks cannot run on a DLA, except in versions without builder flags.
    typed = api.strongly_typed and (dla is None or not api.takes_flags)
    quantised_here = options.precision == "int8" != model.precision and not typed
    ranged = quantised_here and options.calibration is None and has_ranges(model)
    calibrated = quantised_here and not ranged
    source = model if quantised_here else convert_precision(model, options, TENSORRT)
    precision = "int8" if quantised_here else source.precision
    if dla is not None and precision == "fp32":
        raise ModelError(f"parameter 'device' is '{options.device}', which computes fp16 or int8; set the precision")
    batch = options.max_batch if any(None in shape for shape in model.inputs.values()) else 1
    facts = {
        "model": model.path.name,
        "model_sha256": model.sha256,
        "onnx_sha256": source.sha256,  # of the fp16 or int8 graph, which includes its calibration
        "tensorrt": str(api),
        "gpu": _PORTABLE if api.portable else str(gpu),
        "precision": precision,
        "inputs": {name: list(shape) for name, shape in model.inputs.items()},
        "max_batch": batch,
    }
    if dla is not None:
        facts["device"] = options.device
    if ranged:
        facts["ranges"] = "those in the model"
    name = f"{model.path.stem}-{precision}-b{batch}-{artifacts.tag(facts)}.{api.flavour}.engine"
    artifact = artifacts.Artifact(artifacts.folder(options.cache) / name)
    facts["calibration"] = (
        options.calibration and options.calibration.fingerprint()
        if calibrated
        else artifacts.Artifact(source.path).facts().get("calibration")
    )
    recipe = Recipe(batch, typed, precision, ranges=model.fact("ranges") if ranged else {}, dla=dla)

    def build() -> tuple[bytes, dict[str, Any]]:
        with _timing_cache(recipe, api, gpu, options):
            if calibrated:
                plan, more = _build_calibrated(api, model, recipe, options)
            else:
                plan, more = build_engine(api, source, recipe, options.progress)
        if not api.portable:  # this GPU can load the engine: verify its precision before it is stored
            _deserialise(api, plan, precision, name, dla)
        return plan, more

    return artifact.get(facts, build, **options.artifact_options()), precision


def _dla(options: RunnerOptions) -> int | None:
    return int(options.device[-1]) if options.device.startswith("dla") else None


@contextmanager
def _timing_cache(recipe: Recipe, api: TensorRt, gpu: Gpu | None, options: RunnerOptions) -> Iterator[None]:
    """Load the timing cache of earlier builds into the recipe, and store the updated one with the engines."""
    facts = {"kind": "timing", "tensorrt": str(api), "gpu": _PORTABLE if api.portable else str(gpu)}
    artifact = artifacts.Artifact(artifacts.folder(options.cache) / f"timing-{artifacts.tag(facts)}.cache")
    if not artifact.mismatch(facts):
        recipe.timing = artifact.path.read_bytes()
    yield
    if recipe.timing:
        with suppress(CacheError):  # it only speeds up the next build
            artifact.put(facts, recipe.timing)


def _build_calibrated(api: TensorRt, model: ModelFile, recipe: Recipe, options: RunnerOptions) -> tuple[bytes, Any]:
    """Build with TensorRT's own INT8 calibration (8.x, or for a DLA)."""
    images = require_calibration(options.calibration)
    with closing(open_context()) as context, context.current():
        recipe.calibrator = calibrator(api.module, context, images, options.progress)
        try:
            return build_engine(api, model, recipe, options.progress)
        finally:
            recipe.calibrator.close()


def _deserialise(api: TensorRt, plan: bytes, precision: str, what: str, dla: int | None = None) -> tuple[Any, Any]:
    """The engine and its logger. Raises ModelError if the engine does not compute in the requested precision."""
    logger = collecting_logger(api.module)
    api.load_plugins(logger)
    runtime = api.module.Runtime(logger)
    if dla is not None:
        runtime.DLA_core = dla
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise ModelError(f"{api} cannot load {what} on this machine: {logger.text()}. Another back end may work")
    information = engine.create_engine_inspector().get_engine_information(api.module.LayerInformationFormat.JSON)
    require_engine_precision(precision, information, what)
    return engine, logger


def _tensors(api: TensorRt, engine: Any) -> tuple[dict[str, TensorSpec], dict[str, TensorSpec]]:
    trt = api.module
    inputs: dict[str, TensorSpec] = {}
    outputs: dict[str, TensorSpec] = {}
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        shape = tuple(None if size < 0 else size for size in engine.get_tensor_shape(name))
        tensor = TensorSpec(np.dtype(trt.nptype(engine.get_tensor_dtype(name))), shape)
        (inputs if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT else outputs)[name] = tensor
    return inputs, outputs


def output_allocator(trt: Any, session: CudaSession) -> Any:
    """An ``IOutputAllocator``: allocates memory for data-dependent outputs during a run.

    An exception must not cross TensorRT's C++: it is logged, and the run fails with an out-of-memory error.
    """

    class Allocator(trt.IOutputAllocator):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.IOutputAllocator.__init__(self)

        def reallocate_output(self, name: str, _memory: int, size: int, _alignment: int) -> int:
            try:
                return session.grow(name, size)
            except Exception as error:
                log.warning("output %r: %s", name, error)
                return 0

        def reallocate_output_async(self, name: str, memory: int, size: int, alignment: int, _stream: int) -> int:
            return self.reallocate_output(name, memory, size, alignment)

        def notify_shape(self, name: str, shape: Any) -> None:
            session.set_shape(name, tuple(shape))

    return Allocator()
