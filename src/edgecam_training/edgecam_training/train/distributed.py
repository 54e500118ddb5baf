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

"""Single- or multi-process training from ``torchrun``'s environment variables; without them, rank 0 of 1."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from edgecam_core.errors import SettingError


@dataclass(frozen=True)
class World:
    """This process among all: ``rank`` of ``size``, computing on ``device``."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process evaluates, prints and saves."""
        return self.rank == 0

    def maximum(self, value: torch.Tensor) -> torch.Tensor:
        """The element-wise maximum over all processes; synchronises them."""
        if self.size > 1:
            dist.all_reduce(value, op=dist.ReduceOp.MAX)
        return value

    def average(self, tensors: list[torch.Tensor]) -> None:
        """Replace each tensor by its mean over all processes, in one exchange; synchronises them."""
        if self.size > 1:
            flat = torch.cat([tensor.flatten() for tensor in tensors])
            dist.all_reduce(flat)
            flat /= self.size
            parts = flat.split([tensor.numel() for tensor in tensors])
            torch._foreach_copy_(tensors, [part.view_as(t) for part, t in zip(parts, tensors, strict=True)])

    def close(self) -> None:
        if self.size > 1:
            dist.destroy_process_group()


def join(device: str) -> World:
    """Join the processes started by torchrun, if there are any.

    Raises:
        SettingError: no such device.
    """
    rank, size, local = (int(os.environ.get(key, default)) for key, default in _TORCHRUN)
    if device == "auto":
        device = f"cuda:{local}" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise SettingError("device", device, "must be auto, cpu, cuda or cuda:N") from error
    if chosen.type == "cuda":
        count = torch.cuda.device_count()
        if (chosen.index or 0) >= count:
            raise SettingError("device", device, f"PyTorch sees {count} CUDA devices here; cpu works everywhere")
        torch.cuda.set_device(chosen)
    if size > 1:
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    return World(rank, size, chosen)


_TORCHRUN = (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))
