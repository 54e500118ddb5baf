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

"""Measures the INT8 ranges of a network that has been trained: those in the file's metadata were its parent's."""

from __future__ import annotations

import json
from collections.abc import Iterable

import onnx
import torch
from torch import Tensor

from edgecam_training.models.onnx_graph import OnnxGraph

RANGES, STEPS = "edgecam.ranges", "edgecam.steps"


@torch.no_grad()
def measured(proto: onnx.ModelProto, batches: Iterable[Tensor], device: torch.device) -> dict[str, str]:
    """The metadata of ``proto`` with the ranges of the same tensors, and without the steps of earlier weights.

    Args:
        batches: (B, C, H, W) network inputs like those that the detector will see.
    """
    facts = {item.key: item.value for item in proto.metadata_props}
    facts.pop(STEPS, None)
    if RANGES not in facts:
        return facts
    old: dict[str, list[float]] = json.loads(facts[RANGES])
    inputs = {item.name for item in proto.graph.input}
    # A convolution and the Clip after it are one operation in INT8: its range is that after the Clip.
    clipped = {node.input[0]: node.output[0] for node in proto.graph.node if node.op_type == "Clip"}
    names = sorted({clipped.get(name, name) for name in old if name not in inputs})
    graph = OnnxGraph(proto, names).to(device)
    found: dict[str, list[float]] = {}
    for images in batches:
        for name, value in zip(names, graph(images), strict=True):
            low, high = value.min().item(), value.max().item()
            known = found.setdefault(name, [low, high])
            known[:] = min(known[0], low), max(known[1], high)
    new = {name: limits if name in inputs else found[clipped.get(name, name)] for name, limits in old.items()}
    return facts | {RANGES: json.dumps(new)}
