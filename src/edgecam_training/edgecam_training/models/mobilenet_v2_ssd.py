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

"""SSD-MobileNetV2 300 as in TensorFlow's object detection zoo, initialised from the COCO model of edgecam's zoo.

As in that model, batch normalisation is folded into the convolutions, and activations saturate at the same values.
Tensors have the names of the ONNX file, with ``:`` instead of ``/``. Heads are 1x1 convolutions; 1917 priors. Class
scores in training are a softmax.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import torch
from edgecam_core.models import zoo
from edgecam_core.models.priors import CENTER_VARIANCE, SIZE_VARIANCE
from torch import Tensor, nn
from torch.nn import functional

from edgecam_training.models.base import SsdModel, rows

# Expansion, output channels, stride of the 17 inverted residual blocks (Sandler et al., "MobileNetV2", table 2).
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
_BLOCKS = tuple((t, c, s if i == 0 else 1) for t, c, n, s in _STAGES for i in range(n))
_FINE = 13  # the finest feature map is the expansion of this block
# Middle and output channels of the extra layers.
_EXTRAS = ((256, 512), (128, 256), (128, 256), (64, 128))
_VARIANCES = torch.tensor([CENTER_VARIANCE, CENTER_VARIANCE, SIZE_VARIANCE, SIZE_VARIANCE])
_WIDTHS = (576, 1280, 512, 256, 256, 128)


class MobileNetV2Ssd(SsdModel):
    """See the module's docstring."""

    name = "ssd_mobilenet_v2"

    def __init__(self, columns: int) -> None:
        super().__init__(columns, _coco_priors())
        self.limits = _coco_limits()
        self.convs = nn.ModuleDict()
        self._conv("Conv", 3, 32, 3, 2)
        width = 32
        for index, (expansion, channels, stride) in enumerate(_BLOCKS):
            name, inner = _block_name(index), width * expansion
            if expansion > 1:
                self._conv(f"{name}:expand", width, inner, 1)
            self._conv(f"{name}:depthwise", inner, inner, 3, stride, groups=inner)
            self._conv(f"{name}:project", inner, channels, 1)
            width = channels
        self._conv("Conv_1", width, 1280, 1)
        width = 1280
        for index, (middle, channels) in enumerate(_EXTRAS):
            first, second = _extra_names(index)
            self._conv(first, width, middle, 1)
            self._conv(second, middle, channels, 3, 2)
            width = channels
        for index, width in enumerate(_WIDTHS):
            anchors = 3 if index == 0 else 6
            self._conv(f"BoxPredictor_{index}:ClassPredictor", width, anchors * columns, 1)
            self._conv(f"BoxPredictor_{index}:BoxEncodingPredictor", width, anchors * 4, 1)

    def _conv(self, name: str, width: int, channels: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        conv = nn.Conv2d(width, channels, kernel, stride, groups=groups)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        assert conv.bias is not None
        nn.init.zeros_(conv.bias)
        if "Predictor" in name:
            nn.init.normal_(conv.weight, std=0.01)
        self.convs[name] = conv

    def _run(self, name: str, x: Tensor) -> Tensor:
        conv = self.convs[name]
        assert isinstance(conv, nn.Conv2d)
        if conv.kernel_size[0] == 3:
            x = functional.pad(x, _same_padding(x.shape[-1], x.shape[-2], conv.stride[0]))
        return conv(x)

    def _active(self, name: str, x: Tensor) -> Tensor:
        return self._run(name, x).clamp(0.0, self.limits.get(name, 6.0))

    def features(self, images: Tensor) -> list[Tensor]:
        x = self._active("Conv", images)
        found: list[Tensor] = []
        for index, (expansion, channels, stride) in enumerate(_BLOCKS):
            name, inner = _block_name(index), x
            if expansion > 1:
                inner = self._active(f"{name}:expand", x)
            if index == _FINE:
                found.append(inner)
            inner = self._run(f"{name}:project", self._active(f"{name}:depthwise", inner))
            x = x + inner if stride == 1 and x.shape[1] == channels else inner
        found.append(self._active("Conv_1", x))
        for index in range(len(_EXTRAS)):
            first, second = _extra_names(index)
            found.append(self._active(second, self._active(first, found[-1])))
        return found

    def heads(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        logits = [self._run(f"BoxPredictor_{i}:ClassPredictor", x) for i, x in enumerate(features)]
        offsets = [self._run(f"BoxPredictor_{i}:BoxEncodingPredictor", x) for i, x in enumerate(features)]
        return (
            torch.cat([rows(x, self.columns) for x in logits], dim=1),
            torch.cat([rows(x, 4) for x in offsets], dim=1),
        )

    def load_coco(self, likeness: Mapping[int, int] | None = None) -> None:
        """Start from the zoo's COCO model.

        Args:
            likeness: maps own columns to the COCO columns whose weights they start from. The background always starts
                from COCO's; other columns start near zero.
        """
        weights, _ = _coco_graph()
        state = self.state_dict()
        rows_of = {0: 0, **(likeness or {})}
        for name, module in self.convs.items():
            assert isinstance(module, nn.Conv2d)
            weight, bias = (
                torch.from_numpy(weights[f"{name.replace(':', '/')}.{part}"]) for part in ("weight", "bias")
            )
            if "ClassPredictor" in name:
                weight, bias = self._pick(module, weight, bias, rows_of)
            elif "BoxEncoding" in name:  # the file has the variances folded in
                variances = _VARIANCES.repeat(len(bias) // 4)
                weight, bias = weight / variances[:, None, None, None], bias / variances
            state[f"convs.{name}.weight"], state[f"convs.{name}.bias"] = weight, bias
        self.load_state_dict(state)

    def _pick(
        self, module: nn.Conv2d, weight: Tensor, bias: Tensor, rows_of: Mapping[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Class rows of the COCO head in this model's order."""
        assert module.bias is not None
        old = weight.reshape(-1, 91, *weight.shape[1:]), bias.reshape(-1, 91)
        anchors = len(old[1])
        new_weight = module.weight.detach().clone().reshape(anchors, self.columns, *weight.shape[1:])
        # Other classes start with the low scores of a COCO class that is not in the image.
        new_bias = torch.full((anchors, self.columns), -4.0)
        for own, coco in rows_of.items():
            new_weight[:, own], new_bias[:, own] = old[0][:, coco], old[1][:, coco]
        return new_weight.flatten(0, 1), new_bias.flatten()


def _block_name(index: int) -> str:
    return "expanded_conv" if index == 0 else f"expanded_conv_{index}"


def _extra_names(index: int) -> tuple[str, str]:
    middle, channels = _EXTRAS[index]
    return f"layer_19_1_Conv2d_{index + 2}_1x1_{middle}", f"layer_19_2_Conv2d_{index + 2}_3x3_s2_{channels}"


def _same_padding(width: int, height: int, stride: int) -> tuple[int, int, int, int]:
    """Left, right, top, bottom zeros for a 3x3 kernel; TensorFlow's SAME puts the odd one after."""
    found: list[int] = []
    for size in (width, height):
        total = max((-(-size // stride) - 1) * stride + 3 - size, 0)
        found += [total // 2, total - total // 2]
    return found[0], found[1], found[2], found[3]


@lru_cache(maxsize=1)
def _coco_graph() -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Weights of the zoo's COCO model by name, and where each activation saturates. Downloads it the first time."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(zoo.fetch("ssd_mobilenet_v2_coco"))).graph
    weights = {item.name: numpy_helper.to_array(item).copy() for item in graph.initializer}
    clips = [node for node in graph.node if node.op_type == "Clip"]
    return weights, {node.input[0].replace("/", ":"): float(weights[node.input[2]]) for node in clips}


def _coco_limits() -> dict[str, float]:
    return dict(_coco_graph()[1])


def _coco_priors() -> np.ndarray:
    weights, _ = _coco_graph()
    return np.concatenate([weights["anchor_centre"][0], weights["anchor_size"][0]], axis=1).astype(np.float32)
