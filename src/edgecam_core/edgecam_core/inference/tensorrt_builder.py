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

"""Builds a TensorRT engine from an ONNX file; the same code for every TensorRT version."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgecam_core.errors import EdgecamError, ModelError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.runner import Progress
from edgecam_core.inference.tensorrt_api import TensorRt
from edgecam_core.inference.tensorrt_precision import (
    allow_precision,
    network_precisions,
    require_precision,
    set_ranges,
)

_WORKSPACE = 1 << 30  # bytes of device memory for trying tactics
_MAX_ERRORS = 3


@dataclass
class Recipe:
    """How an engine is built.

    ``typed``: a strongly typed network, which takes its precision from the ONNX file alone (10.x on); else builder
    flags and constraints set it. ``calibrator`` is for TensorRT's own INT8 calibration. ``ranges`` are known ranges
    of activations, tensor name to (low, high), which need no calibration. ``dla`` is the number of a deep learning
    accelerator, None for the GPU. ``timing`` is the timing cache of earlier builds; a build updates it.
    """

    max_batch: int = 1
    typed: bool = True
    precision: str = "fp32"
    calibrator: Any = None
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    dla: int | None = None
    timing: bytes = b""


def build_engine(api: TensorRt, model: ModelFile, recipe: Recipe, progress: Progress) -> tuple[bytes, dict[str, Any]]:
    """Build an engine.

    Blocks from a second (TensorRT-RTX) to many minutes (TensorRT on a Jetson). TensorRT calls ``progress`` in this
    thread at each step it reports (10.x on); an EdgecamError from it cancels the build.

    Returns:
        The serialised engine, and facts for its sidecar: number of convolutions by precision.

    Raises:
        ModelError: an unsupported operator (named), a dynamic dimension other than the batch, a precision that was not
            kept, or no such DLA.
    """
    trt = api.module
    logger = collecting_logger(trt)
    api.load_plugins(logger)
    builder = trt.Builder(logger)
    network = builder.create_network(_network_flags(trt, recipe.typed))
    _parse(trt, network, logger, model)
    layers = network_precisions(trt, network)
    if recipe.typed:  # otherwise TensorRT chooses the precision while building, and only the engine shows it
        require_precision(model.precision, layers, str(model.path))
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # layers can be inspected afterwards
    calibrated = recipe.calibrator is not None
    if calibrated:
        config.int8_calibrator = recipe.calibrator
    if recipe.ranges:
        set_ranges(network, recipe.ranges, model)
    if not recipe.typed:
        allow_precision(trt, network, config, model, recipe.precision, calibrated or bool(recipe.ranges))
    if recipe.dla is not None:
        use_dla(trt, builder, config, recipe.dla)
    _add_profile(builder, config, model, recipe.max_batch, calibrated)
    timing = None if api.portable else _timing_cache(config, recipe)  # a no-op in TensorRT-RTX
    monitor = _monitor(trt, config, progress)
    plan = builder.build_serialized_network(network, config)
    if monitor is not None and monitor.cancelled is not None:
        raise monitor.cancelled
    if calibrated and recipe.calibrator.failed is not None:  # TensorRT would continue with fewer images
        raise recipe.calibrator.failed
    if plan is None:
        raise ModelError(f"{api} cannot build {model.path}: {logger.text()}")
    if timing is not None:
        recipe.timing = bytes(timing.serialize())
    return bytes(plan), {"layers": dict(layers)}


def use_dla(trt: Any, builder: Any, config: Any, number: int) -> None:
    """Build for a deep learning accelerator; layers that it cannot run fall back to the GPU.

    Raises:
        ModelError: this TensorRT or this machine has no DLA of this number.
    """
    cores = int(getattr(builder, "num_DLA_cores", 0)) if hasattr(trt, "DeviceType") else 0
    if not hasattr(getattr(trt, "DeviceType", None), "DLA") or number >= cores:
        have = f"dla0 to dla{cores - 1}" if cores else "none"
        raise ModelError(f"parameter 'device' is 'dla{number}': TensorRT {trt.__version__} finds {have} here; use auto")
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = number
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)


def _timing_cache(config: Any, recipe: Recipe) -> Any:
    """Reuse tactic timings: with them, the next engine for the same GPU builds in a fraction of the time."""
    timing = config.create_timing_cache(recipe.timing)
    if timing is None:  # damaged, or from another version
        timing = config.create_timing_cache(b"")
    config.set_timing_cache(timing, False)
    return timing


def _network_flags(trt: Any, typed: bool) -> int:
    flags = 0
    for name in ("EXPLICIT_BATCH", "STRONGLY_TYPED"):  # 8.x has only the first, 11.x and RTX only the second
        if hasattr(trt.NetworkDefinitionCreationFlag, name) and (typed or name != "STRONGLY_TYPED"):
            flags |= 1 << int(getattr(trt.NetworkDefinitionCreationFlag, name))
    return flags


def _parse(trt: Any, network: Any, logger: Any, model: ModelFile) -> None:
    parser = trt.OnnxParser(network, logger)
    if parser.parse(model.path.read_bytes(), str(model.path)):  # the path locates external data
        return
    errors = [parser.get_error(index) for index in range(min(parser.num_errors, _MAX_ERRORS))]
    raise ModelError(f"TensorRT cannot read {model.path}: {'; '.join(map(_error_text, errors)) or logger.text()}")


def _error_text(error: Any) -> str:
    operator = error.node_operator() if hasattr(error, "node_operator") else ""
    return f"operator {operator}: {error.desc()}" if operator else str(error.desc())


def _add_profile(builder: Any, config: Any, model: ModelFile, max_batch: int, calibrated: bool) -> None:
    """Optimisation profile of the dynamic batch size. Calibration runs one image at a time."""
    dynamic = {name: shape for name, shape in model.inputs.items() if None in shape}
    if not dynamic:
        return
    profile, single = builder.create_optimization_profile(), builder.create_optimization_profile()
    for name, shape in dynamic.items():
        if None in shape[1:]:
            raise ModelError(f"{model.path} leaves sizes of its input {name!r} open; export it with a fixed size")
        one, largest = (1, *shape[1:]), (max_batch, *shape[1:])
        profile.set_shape(name, one, largest, largest)
        single.set_shape(name, one, one, one)
    config.add_optimization_profile(profile)
    if calibrated:
        config.set_calibration_profile(single)


def collecting_logger(trt: Any) -> Any:
    """A TensorRT logger whose ``text()`` returns the last errors, for an exception's message."""

    class Logger(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: deque[str] = deque(maxlen=_MAX_ERRORS)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors.append(message.splitlines()[0])

        def text(self) -> str:
            return "; ".join(self.errors) or "no reason reported"

    return Logger()


def _monitor(trt: Any, config: Any, progress: Callable[[str], None]) -> Any:
    """Report the progress of the build, if this version supports it (10.x on)."""
    if not hasattr(trt, "IProgressMonitor"):
        progress(f"building the engine; TensorRT {trt.__version__} reports no steps and cannot be stopped")
        return None
    progress("building the engine")

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.cancelled: EdgecamError | None = None
            self._steps: dict[str, int] = {}

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            self._steps[phase] = steps

        def step_complete(self, phase: str, step: int) -> bool:
            try:
                progress(f"building the engine: {phase.lower()} {step + 1} of {self._steps.get(phase, step + 1)}")
            except EdgecamError as error:  # must not cross TensorRT's C++
                self.cancelled = error
                return False
            return True

        def phase_finish(self, phase: str) -> None:
            self._steps.pop(phase, None)

    monitor = Monitor()
    config.progress_monitor = monitor
    return monitor
