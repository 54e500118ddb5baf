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

"""PyTorch, for comparison: runs the TorchScript module next to the ONNX file.

``model.onnx`` has names, shapes and metadata; ``model.torchscript`` (``torch.jit.save``) has the weights. Its inputs
and outputs are in the same order as those of the ONNX file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgecam_core.errors import InferenceError, MissingDependency, ModelError, first_line
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.runner import Runner, RunnerOptions, TensorSpec

SUFFIX = ".torchscript"


class TorchRunner(Runner):
    """A TorchScript module, on the GPU if PyTorch finds one. See :class:`Runner`."""

    name = "torch"

    def __init__(self, torch: Any, module: Any, device: str, model: ModelFile, half: bool, description: str) -> None:
        float32 = np.dtype(np.float32)
        inputs = {name: TensorSpec(float32, shape) for name, shape in model.inputs.items()}
        outputs = {name: TensorSpec(float32, shape) for name, shape in model.outputs.items()}
        super().__init__(inputs, outputs, description)
        self._torch, self._module, self._device = torch, module, device
        self._type = torch.float16 if half else torch.float32

    @classmethod
    def load(cls, model: ModelFile, options: RunnerOptions) -> TorchRunner:
        options.require_device(cls.name, "cpu", "cuda")
        try:
            import torch
        except ImportError as error:
            raise MissingDependency("the back end 'torch'", "pip install torch") from error
        path = model.path.with_suffix(SUFFIX)
        if not path.is_file():
            raise ModelError(f"the back end 'torch' needs {path}, a TorchScript module next to the ONNX file")
        if options.device == "cuda" and not torch.cuda.is_available():
            raise ModelError("the back end 'torch' finds no CUDA device")
        device = "cuda" if options.device != "cpu" and torch.cuda.is_available() else "cpu"
        half = options.precision == "fp16"
        if options.precision == "int8" or (half and device == "cpu"):
            raise ModelError(f"the back end 'torch' has no precision '{options.precision}' on {device}; use fp32")
        if options.threads:
            torch.set_num_threads(options.threads)
        try:
            module = torch.jit.load(str(path), map_location=device).eval()
        except RuntimeError as error:
            raise ModelError(f"torch cannot load {path}: {first_line(error)}") from error
        module = module.half() if half else module.float()
        runs_on = f"cpu, {torch.get_num_threads()} threads" if device == "cpu" else torch.cuda.get_device_name()
        description = f"torch {torch.__version__} on {runs_on}, {'fp16' if half else 'fp32'}"
        return cls(torch, module, device, model, half, description)

    def _infer(self, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        torch = self._torch
        try:
            with torch.inference_mode():
                tensors = [torch.from_numpy(feed[name]).to(self._device, self._type) for name in self.inputs]
                outputs = self._module(*tensors)
                outputs = outputs if isinstance(outputs, tuple) else (outputs,)
                arrays = [item.float().cpu().numpy() for item in outputs]
        except RuntimeError as error:  # e.g. the GPU is out of memory
            raise InferenceError(f"torch failed: {str(error).strip().splitlines()[-1]}") from error
        return dict(zip(self.outputs, arrays, strict=True))
