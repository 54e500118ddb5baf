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

"""The table of inference back ends and the choice between them."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

from edgecam_core.cache import CacheError
from edgecam_core.errors import MissingDependency, ModelError, SettingError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.runner import Runner, RunnerOptions

# Name: module and class.
BACKENDS: dict[str, tuple[str, str]] = {
    "tensorrt": ("edgecam_core.inference.tensorrt_runner", "TensorRtRunner"),
    "openvino": ("edgecam_core.inference.openvino_runner", "OpenVinoRunner"),
    "onnxruntime": ("edgecam_core.inference.onnxruntime_runner", "OnnxRuntimeRunner"),
    "onnxruntime-tensorrt": ("edgecam_core.inference.onnxruntime_tensorrt", "OnnxRuntimeTensorRtRunner"),
    "torch": ("edgecam_core.inference.torch_runner", "TorchRunner"),
}
CPU_BACKENDS = ("openvino", "onnxruntime")  # those that tuning compares
DEVICES = ("auto", "cpu", "cuda", "dla0", "dla1")

# Back end and device, in the order ``auto`` tries them: best first.
_ORDER = (
    ("tensorrt", "dla0"),
    ("tensorrt", "dla1"),
    ("tensorrt", "cuda"),
    ("onnxruntime", "cuda"),
    ("openvino", "cpu"),
    ("onnxruntime", "cpu"),
    ("torch", "cuda"),
    ("torch", "cpu"),
)


def open_runner(model: ModelFile, backend: str = "auto", options: RunnerOptions | None = None) -> Runner:
    """Load a model with one back end, or with the best one that loads (``auto``).

    The runner's ``rejected`` gives the reasons against better ones. Blocks while the model is loaded or built:
    milliseconds to minutes.

    Raises:
        SettingError: no such back end.
        MissingDependency: the requested back end is not installed, or with ``auto`` no back end is.
        ModelError: the requested back end cannot run this model, or with ``auto`` none can.
        CacheError: with a requested back end, the cache cannot be written and ``options.degraded`` is None.
    """
    options = options or RunnerOptions()
    if backend != "auto":
        return _runner_type(backend).load(model, options)
    rejected: dict[str, str] = {}
    # An accelerator other than the GPU is used only on request.
    devices = ("cuda", "cpu") if options.device == "auto" else (options.device,)
    for name, device in _ORDER:
        if device not in devices:
            continue
        try:
            runner = _runner_type(name).load(model, replace(options, device=device))
        except (MissingDependency, ModelError, CacheError) as error:
            rejected[f"{name} on {device}"] = str(error)
        else:
            runner.rejected = rejected
            return runner
    reasons = "; ".join(f"{name}: {reason}" for name, reason in rejected.items())
    if all("is not installed" in reason for reason in rejected.values()):
        raise MissingDependency("an inference back end", "pip install onnxruntime")
    raise ModelError(f"no back end can run {model.path}: {reasons}")


def _runner_type(name: str) -> type[Runner]:
    if name not in BACKENDS:
        raise SettingError("backend", name, f"must be one of auto, {', '.join(BACKENDS)}")
    module, class_name = BACKENDS[name]
    runner_type = getattr(import_module(module), class_name)
    assert issubclass(runner_type, Runner)
    return runner_type
