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

"""The normalisation that a DETR was trained with. The file does not state it; names in its graph identify the network.

RT-DETR, RT-DETRv2, D-FINE, DEIM and DEIMv2 take pixel / 255; they are recognised by their encoder. DEIMv2 with DINOv3
as its backbone (S, M, L, X) has the same encoder, but takes ImageNet's mean and standard deviation.
"""

from __future__ import annotations

from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models.preprocess import InputSpec

FRACTIONS = InputSpec("", 0, 0, color="rgb", fit="stretch")
IMAGENET = InputSpec("", 0, 0, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375), color="rgb", fit="stretch")
_ENCODER = ("fpn_block", "pan_block", "lateral_convs")
_DINOV3 = ("dinov3", "spatial_tuning_adapter")  # its original's and Hugging Face's name


def detr_input(model: ModelFile, other: InputSpec) -> InputSpec:
    """FRACTIONS or IMAGENET if the graph's names identify the network, else ``other``; reads the file once."""
    graph = model.graph()
    names = [item.name for items in (graph.initializer, graph.node) for item in items]
    for parts, spec in ((_DINOV3, IMAGENET), (_ENCODER, FRACTIONS)):
        if any(part in name for name in names for part in parts):
            return spec
    return other
