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

"""A batch norm with its ReLU, optionally fused into one pass on a GPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class NormRelu(nn.BatchNorm2d):
    """``nn.BatchNorm2d`` followed by ReLU, with the same parameters, statistics and names.

    ``fused`` selects the Triton kernels of :mod:`fused_norm`, for training on a GPU.
    """

    fused = False

    def forward(self, images: Tensor) -> Tensor:
        if not (self.fused and self.training and images.is_cuda):
            return functional.relu(super().forward(images), inplace=True)
        return self.forward_fused(images)

    def forward_fused(self, images: Tensor) -> Tensor:
        """Normalise with the batch's statistics and update the running ones."""
        from edgecam_training.models.fused_norm import NormReluFunction as Kernels

        found, mean, variance = Kernels.apply(images, self.weight, self.bias, self.eps)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        with torch.no_grad():
            count = images.numel() // images.shape[1]
            momentum = self.momentum or 0.0
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * (count / max(1, count - 1)), momentum)
        result: Tensor = found
        return result


def fuse(model: nn.Module, fused: bool) -> int:
    """Switch the kernels of all norms with a ReLU on or off; returns their number."""
    layers = [layer for layer in model.modules() if isinstance(layer, NormRelu)]
    for layer in layers:
        layer.fused = fused
    return len(layers)


def compile_kernels(precision: torch.dtype, device: torch.device) -> None:
    """Compile the Triton kernels for a GPU, once per process. Blocks for seconds; any thread may call it."""
    from edgecam_training.models import fused_norm

    torch.cuda.set_device(device)  # each thread has its own
    for channels in (32, 64):  # one tile of each width; sizes are multiples of 16, as in all networks
        images = torch.zeros(2, channels, 16, 16, dtype=precision, device=device)
        images = images.contiguous(memory_format=torch.channels_last)
        ones = torch.ones(channels, device=device)
        result, mean, _, inverse, scale = fused_norm.normalise(images, ones, ones, 1e-5)
        fused_norm.gradients(images, result, mean, inverse, scale, ones)
