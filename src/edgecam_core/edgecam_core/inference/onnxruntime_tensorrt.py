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

"""TensorRT as an execution provider of ONNX Runtime: the GPU wheel with TensorRT's libraries or NVIDIA's Jetson build.

Nodes that TensorRT does not support run on CUDA. Not run on hardware yet.
"""

from __future__ import annotations

from typing import Any

from edgecam_core.errors import ModelError
from edgecam_core.inference import artifacts
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.onnxruntime_runner import (
    CPU_PROVIDER,
    CUDA_PROVIDER,
    OnnxRuntimeRunner,
    import_onnxruntime,
    open_session,
    provider_problem,
)
from edgecam_core.inference.precision import TENSORRT, convert_precision
from edgecam_core.inference.runner import RunnerOptions

PROVIDER = "TensorrtExecutionProvider"


class OnnxRuntimeTensorRtRunner(OnnxRuntimeRunner):
    """A session that runs its graph in TensorRT. See :class:`Runner`. The first load builds the engine: minutes."""

    name = "onnxruntime-tensorrt"

    @classmethod
    def load(cls, model: ModelFile, options: RunnerOptions) -> OnnxRuntimeTensorRtRunner:
        options.require_device(cls.name, "cuda")
        onnxruntime = import_onnxruntime()
        if problem := provider_problem(onnxruntime, PROVIDER):
            raise ModelError(f"onnxruntime does not run on TensorRT: {problem}")
        source = convert_precision(model, options, TENSORRT)
        options.progress("building the engine in ONNX Runtime")
        settings = provider_options(source, options, onnxruntime.__version__)
        session = open_session(onnxruntime, source, options, [(PROVIDER, settings), CUDA_PROVIDER, CPU_PROVIDER])
        if session.get_providers()[0] != PROVIDER:
            raise ModelError("onnxruntime does not run on TensorRT: no reason reported; its log on stderr may have one")
        return cls(session, 1, f"onnxruntime {onnxruntime.__version__} on TensorRT, {source.precision}")


def provider_options(model: ModelFile, options: RunnerOptions, version: str) -> dict[str, Any]:
    """Options of the execution provider.

    Its engine cache identifies a model by the names in the graph, not by the weights: each model gets its own folder.
    """
    key = artifacts.tag({"model_sha256": model.sha256, "onnxruntime": version, "max_batch": options.max_batch})
    folder = artifacts.folder(options.cache) / f"{model.path.stem}-onnxruntime-{key}"
    entries: dict[str, Any] = {
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(folder),
        "trt_fp16_enable": model.precision == "fp16",
        "trt_int8_enable": model.precision == "int8",
    }
    free = {name: shape for name, shape in model.inputs.items() if None in shape}
    for name, shape in free.items():
        if None in shape[1:]:
            raise ModelError(f"{model.path} leaves sizes of its input {name!r} open; export it with a fixed size")
    for which, batch in (("min", 1), ("opt", options.max_batch), ("max", options.max_batch)):
        if free:
            shapes = (f"{name}:{'x'.join(map(str, (batch, *shape[1:])))}" for name, shape in free.items())
            entries[f"trt_profile_{which}_shapes"] = ",".join(shapes)
    return entries
