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

"""Backbones from torchvision's ImageNet classifiers, for networks with different layer names.

Each function takes a classifier's state dict and returns the matching tensors under the names of the network here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from edgecam_core.errors import MissingDependency, SettingError
from torch import Tensor

from edgecam_training.models.base import SsdModel

State = Mapping[str, Tensor]
_MEAN, _STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
_NORM_EPSILON = 1e-5


def mobilenet_v2(classifier: State, model: SsdModel) -> dict[str, Tensor]:
    """Fold the batch norms into the convolutions: the network here has none."""
    names = [name.removesuffix(".weight") for name in classifier if classifier[name].ndim == 4]
    own = [name for name in model.state_dict() if name.startswith("convs.") and name.endswith(".weight")]
    found: dict[str, Tensor] = {}
    for name, mine in zip(names, own, strict=False):  # the backbone is first in both, in the same order
        weight, bias = _folded(classifier, name, _norm_after(name))
        if not found:
            weight, bias = _other_input(weight, bias, model)
        found[mine], found[mine.removesuffix("weight") + "bias"] = weight, bias
    return found


def mobilenet_v3(classifier: State, model: SsdModel) -> dict[str, Tensor]:
    """The blocks up to the point where SSDLite's backbone becomes narrower than the classifier."""
    own = [(name, value) for name, value in model.state_dict().items() if name.startswith("backbone.features.")]
    theirs = [(name, value) for name, value in classifier.items() if name.startswith("features.")]
    found: dict[str, Tensor] = {}
    for (mine, like), (_, value) in zip(own, theirs, strict=False):
        if like.shape != value.shape:
            break
        found[mine] = value
    return found


# Network: torchvision's classifier, a tensor that only this classifier has, and the conversion.
CONVERTERS: dict[str, tuple[str, str, Callable[[State, SsdModel], dict[str, Tensor]]]] = {
    "ssd_mobilenet_v2": ("mobilenet_v2", "features.18.0.weight", mobilenet_v2),
    "ssdlite_mobilenet_v3": ("mobilenet_v3_large", "features.4.block.2.fc1.weight", mobilenet_v3),
}


def download(model: str) -> State:
    """torchvision's classifier for a network, from its server or its cache; the hash is checked.

    Raises:
        SettingError: torchvision has no classifier for this network.
        MissingDependency: the server cannot be reached.
    """
    if model not in CONVERTERS:
        raise SettingError(
            "init", "imagenet", f"torchvision has no backbone of {model}; set the file of pytorch-ssd's classifier"
        )
    from torchvision.models import get_model_weights

    weights = get_model_weights(CONVERTERS[model][0]).IMAGENET1K_V1  # type: ignore[attr-defined]
    try:
        state: State = weights.get_state_dict(progress=True, check_hash=True)
    except OSError as error:
        raise MissingDependency(
            f"{weights.url} (not reachable: {error})", "download it elsewhere and pass its path with --init"
        ) from error
    return state


def convert(state: State, model: SsdModel) -> dict[str, Tensor]:
    """The part of a classifier's state dict that fits a network; empty for another classifier."""
    _, sign, convert_backbone = CONVERTERS.get(model.name, ("", "", None))
    return convert_backbone(state, model) if convert_backbone and sign in state else {}


def _norm_after(name: str) -> str:
    """``features.3.conv.1.0`` is followed by ``features.3.conv.1.1``, a bare ``features.3.conv.2`` by its successor."""
    head, _, last = name.rpartition(".")
    return f"{head}.{int(last) + 1}"


def _folded(state: State, conv: str, norm: str) -> tuple[Tensor, Tensor]:
    scale = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + _NORM_EPSILON).sqrt()
    bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
    return state[f"{conv}.weight"] * scale[:, None, None, None], bias


def _other_input(weight: Tensor, bias: Tensor, model: SsdModel) -> tuple[Tensor, Tensor]:
    """Adapt the first convolution from ImageNet's normalisation to that of this network."""
    mean, std = (torch.tensor(values) for values in (model.normalisation.mean, model.normalisation.std))
    gain, shift = std / 255 / _STD, (mean / 255 - _MEAN) / _STD
    return weight * gain[None, :, None, None], bias + (weight * shift[None, :, None, None]).sum(dim=(1, 2, 3))
