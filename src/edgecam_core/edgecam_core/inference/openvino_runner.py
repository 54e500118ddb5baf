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

"""OpenVINO: the fastest back end on x86 CPUs."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgecam_core.errors import InferenceError, MissingDependency, ModelError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.precision import CPU, convert_precision
from edgecam_core.inference.runner import Runner, RunnerOptions, TensorSpec

_DEVICE = "CPU"


class OpenVinoRunner(Runner):
    """A compiled OpenVINO model. See :class:`Runner`."""

    name = "openvino"
    on_cpu = True

    def __init__(self, compiled: Any, model: ModelFile, streams: int, description: str) -> None:
        inputs = {_name(port, model.inputs): _tensor(port) for port in compiled.inputs}
        self._ports = {_name(port, model.outputs): port for port in compiled.outputs}
        super().__init__(inputs, {name: _tensor(port) for name, port in self._ports.items()}, description)
        self.streams = streams
        self._compiled = compiled
        self._local = threading.local()

    @classmethod
    def load(cls, model: ModelFile, options: RunnerOptions) -> OpenVinoRunner:
        options.require_device(cls.name, "cpu")
        try:
            import openvino
        except ImportError as error:
            raise MissingDependency("the back end 'openvino'", "pip install openvino") from error
        model = convert_precision(model, options, CPU)
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": options.streams}
        if options.threads:
            settings["INFERENCE_NUM_THREADS"] = options.threads
        if options.precision == "fp32":
            settings["INFERENCE_PRECISION_HINT"] = "f32"  # else processors with AMX compute in bfloat16
        try:
            core = openvino.Core()
            compiled = core.compile_model(core.read_model(str(model.path)), _DEVICE, settings)
        except Exception as error:  # its exception types are not public
            raise ModelError(f"openvino cannot load {model.path}: {_last_line(error)}") from error
        version = openvino.__version__.split("-")[0]
        threads = compiled.get_property("INFERENCE_NUM_THREADS")
        hint = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        precision = model.precision if model.precision != "fp32" or hint == "f32" else hint
        return cls(compiled, model, options.streams, f"openvino {version} on {_DEVICE}, {threads} threads, {precision}")

    def _infer(self, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            request = self._request()
            request.infer(dict(feed), share_inputs=True)
        except Exception as error:  # its exception types are not public
            raise InferenceError(f"openvino failed: {_last_line(error)}") from error
        return {name: request.get_tensor(port).data for name, port in self._ports.items()}

    def _request(self) -> Any:
        """The calling thread's infer request: a request runs one inference at a time."""
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()
        return self._local.request


def _name(port: Any, known: Mapping[str, object]) -> str:
    """The port's name in the ONNX model: after constant folding a port also has the names of removed casts."""
    return next((name for name in known if name in port.names), port.any_name)


def _tensor(port: Any) -> TensorSpec:
    shape = tuple(size.get_length() if size.is_static else None for size in port.get_partial_shape())
    return TensorSpec(np.dtype(port.get_element_type().to_dtype()), shape)


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
