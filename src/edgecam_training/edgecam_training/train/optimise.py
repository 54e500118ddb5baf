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

"""Optimiser, learning-rate schedule and averaged weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from edgecam_training.models.base import SsdModel
from edgecam_training.train.settings import TrainSettings

_HEADS = ("classification_headers", "regression_headers", "head.", "BoxPredictor")
_LAST = 0.01  # the schedule ends at this fraction of the peak


def is_head(name: str) -> bool:
    return any(part in name for part in _HEADS)


def _is_class_head(name: str) -> bool:
    return any(part in name for part in ("classification_head", "ClassPredictor"))


def freeze(model: SsdModel, what: str) -> None:
    """Freeze the backbone, or everything but the class heads."""
    for name, parameter in model.named_parameters():
        if what == "all-but-classes":
            parameter.requires_grad_(_is_class_head(name))
        elif what == "backbone":
            parameter.requires_grad_(is_head(name))


def frozen_to_eval(model: SsdModel, what: str) -> None:
    """Set frozen batch norms to eval mode, so that they keep their statistics."""
    if what != "none":
        for layer in model.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.eval()


def build_optimizer(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """Four groups: heads and backbone, with and without weight decay; ``scale`` is the group's learning-rate factor."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((is_head(name), parameter.ndim > 1), []).append(parameter)
    options = [
        {
            "params": parameters,
            "weight_decay": settings.weight_decay if decays else 0.0,
            "scale": 1.0 if head else settings.backbone_rate,
        }
        for (head, decays), parameters in groups.items()
    ]
    fused = next(model.parameters()).is_cuda  # one kernel for all tensors of a group
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(options, lr=settings.learning_rate, fused=fused)
    return torch.optim.SGD(options, lr=settings.learning_rate, momentum=0.9, nesterov=True, fused=fused)


def set_rate(optimizer: torch.optim.Optimizer, settings: TrainSettings, step: int, steps_per_epoch: int) -> float:
    """Set the learning rate of a step: linear warm-up, then cosine decay. It depends only on the step."""
    warm = settings.warmup * steps_per_epoch
    total = settings.epochs * steps_per_epoch
    if step < warm:
        factor = (step + 1) / warm
    else:
        done = min(1.0, (step - warm) / max(1.0, total - warm))
        factor = _LAST + (1 - _LAST) * 0.5 * (1 + math.cos(math.pi * done))
    for group in optimizer.param_groups:
        group["lr"] = settings.learning_rate * factor * group["scale"]
    return settings.learning_rate * factor


class Average:
    """Exponential moving average of all weights and statistics; the decay rises to ``decay`` in the first steps."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._live = dict(model.state_dict())
        self.state: dict[str, Tensor] = {key: value.detach().clone() for key, value in self._live.items()}
        self._counts = [key for key, value in self.state.items() if not value.is_floating_point()]
        self._floats = [key for key, value in self.state.items() if value.is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Add the weights after a step."""
        decay = min(self.decay, (1 + step) / (10 + step))
        mine = [self.state[key] for key in self._floats]
        torch._foreach_lerp_(mine, [self._live[key] for key in self._floats], 1 - decay)
        if self._counts:
            torch._foreach_copy_([self.state[key] for key in self._counts], [self._live[key] for key in self._counts])
