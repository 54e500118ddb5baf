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

"""The gradients of one batch: augmentation, forward and backward pass.

These networks consist of hundreds of small kernels, which a CPU cannot launch as fast as a large GPU runs them. All
shapes are fixed, so on a GPU the whole step is captured once as a CUDA graph and then launched as a unit.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from edgecam_training.models.base import SsdModel
from edgecam_training.models.loss import Targets, multibox_loss
from edgecam_training.models.norm_relu import compile_kernels, fuse
from edgecam_training.train.augment import Augmentation, augment, draw
from edgecam_training.train.settings import TrainSettings
from edgecam_training.train.validate import normalise

_WARM_UP = 3  # steps before the capture: libraries select algorithms and allocate workspaces


class Step:
    """Call it with a batch: it writes the gradients to the parameters. Not thread-safe.

    If the network computes in FP16, the gradients are scaled by ``scaler``.
    """

    def __init__(self, model: SsdModel, settings: TrainSettings, device: torch.device) -> None:
        self.model, self.settings, self.device = model, settings, device
        self.precision = precision(settings.precision, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision is torch.float16)
        self._how = Augmentation(settings.zoom_out, settings.crop, settings.flip, settings.color, settings.mosaic)
        self._forward: Any = torch.compile(model) if settings.compile else model
        self._recorded: _Recorded | None = None
        fused = settings.fused_norms and device.type == "cuda" and find_spec("triton") is not None
        self._fused = bool(fuse(model, fused)) and fused

    def __call__(self, images: Tensor, targets: Targets, generator: torch.Generator) -> Tensor:
        """Compute the gradients for (B, S, S, 3) uint8 images; returns (3,) losses on the device: total, classes,
        boxes."""
        chance = [item.to(self.device, non_blocking=True) for item in draw(len(images), generator)]
        inputs = [images, targets.boxes, targets.labels, *chance]
        if self.device.type != "cuda" or not self.settings.graph:
            return self._gradients(*inputs)
        if self._recorded is None:
            self._recorded = _Recorded(self.model, self._gradients, inputs)
        return self._recorded(inputs)

    def prepare(self, batch: int, side: int, most: int) -> None:
        """On a GPU, capture the step for batches of this shape.

        Args:
            side: side of the decoded images.
            most: padded number of boxes per image.
        """
        if self.device.type == "cuda" and self.settings.graph:
            self._recorded = _Recorded(self.model, self._gradients, self._blank(batch, side, most))

    def load_libraries(self, batch: int, side: int) -> None:
        """Compute a step with black images on a GPU, so that libraries load and Triton compiles. Takes seconds."""
        with ThreadPoolExecutor(1, "compiler") as pool:
            compiling = pool.submit(compile_kernels, self.precision, self.device) if self._fused else None
            fuse(self.model, False)  # the convolutions do not wait for the compiler
            self._gradients(*self._blank(batch, side, 1))
            fuse(self.model, self._fused)
            if compiling:
                compiling.result()

    def _blank(self, batch: int, side: int, most: int) -> list[Tensor]:
        images = torch.zeros(batch, side, side, 3, dtype=torch.uint8, device=self.device)
        boxes = torch.zeros(batch, most, 4, device=self.device)
        labels = torch.zeros(batch, most, dtype=torch.int64, device=self.device)
        return [images, boxes, labels, *(item.to(self.device) for item in draw(batch, torch.Generator()))]

    def batch(self, images: Tensor, targets: Targets, *chance: Tensor) -> tuple[Tensor, Targets]:
        """The augmented, normalised batch and its boxes."""
        pixels, moved = augment(images, targets, self.model.size, self._how, *chance)
        return normalise(pixels, self.model), moved

    def _gradients(self, images: Tensor, boxes: Tensor, labels: Tensor, *chance: Tensor) -> Tensor:
        inputs, targets = self.batch(images, Targets(boxes, labels), *chance)
        clear(self.model)
        reduced = self.precision is not torch.float32
        # No cache of casts: each weight is used once per step, and the cache prevents a capture.
        with torch.autocast(self.device.type, self.precision, enabled=reduced, cache_enabled=False):
            logits, offsets = self._forward(inputs)
        losses = multibox_loss(logits, offsets, targets, self.model.priors, self.settings.smoothing)
        self.scaler.scale(losses.total).backward()
        return torch.stack([losses.total, losses.classes, losses.boxes]).detach()


class _Recorded:
    """A CUDA graph of a function of tensors with fixed shapes; it always writes gradients to the same memory."""

    def __init__(self, model: SsdModel, function: Callable[..., Tensor], inputs: list[Tensor]) -> None:
        self._inputs = [item.clone() for item in inputs]
        buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UP):
                function(*self._inputs)
        torch.cuda.current_stream().wait_stream(aside)
        for buffer, before in buffers:  # undo the warm-up's effect on the statistics of batch norms
            buffer.copy_(before)
        clear(model)
        self._graph = torch.cuda.CUDAGraph()
        # Other threads, e.g. NCCL's, may use the GPU meanwhile.
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._result = function(*self._inputs)

    def __call__(self, inputs: list[Tensor]) -> Tensor:
        for mine, item in zip(self._inputs, inputs, strict=True):
            mine.copy_(item, non_blocking=True)
        self._graph.replay()
        return self._result.clone()


def clear(model: SsdModel) -> None:
    """Remove all gradients, so that the next ones are written and not added."""
    for parameter in model.parameters():
        parameter.grad = None


def precision(name: str, device: torch.device) -> torch.dtype:
    """The type of a precision setting; ``auto``: bfloat16 on a GPU that supports it, else float16; CPU: float32."""
    if name == "auto":
        if device.type != "cuda":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[name]
