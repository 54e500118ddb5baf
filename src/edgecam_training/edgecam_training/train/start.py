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

"""Initial weights of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from edgecam_core.errors import SettingError
from edgecam_core.models.coco_labels import LABELS, UNUSED
from torch import Tensor

from edgecam_training.errors import CheckpointError
from edgecam_training.models.base import SsdModel
from edgecam_training.models.mobilenet_v2_ssd import MobileNetV2Ssd
from edgecam_training.models.registry import create
from edgecam_training.train import checkpoint, imagenet
from edgecam_training.train.settings import TrainSettings


def starting_model(settings: TrainSettings, classes: Sequence[str]) -> tuple[SsdModel, str]:
    """A network in train mode, and one line about the origin of its weights.

    Raises:
        SettingError: this network does not support ``init``, or an unknown COCO class.
        CheckpointError: a checkpoint of another network.
    """
    torch.manual_seed(settings.seed)
    model = create(settings.model, classes).train()
    init = settings.init
    if init == "auto":
        init = "coco" if isinstance(model, MobileNetV2Ssd) else "random"
    if init == "random":
        return model, "random weights"
    if init == "coco":
        if not isinstance(model, MobileNetV2Ssd):
            raise SettingError("init", "coco", "only ssd_mobilenet_v2 starts from the COCO model; use a checkpoint")
        alike = likeness(classes, settings.likeness)
        model.load_coco(alike)
        named = ", ".join(f"{classes[own - 1]} from {LABELS[coco]}" for own, coco in alike.items()) or "none"
        return model, f"COCO weights; classes: {named}"
    if init == "imagenet":
        return model, _from_state(model, imagenet.download(model.name), "torchvision's ImageNet weights")
    return model, _from_checkpoint(model, init)


def likeness(classes: Sequence[str], pairs: Sequence[str]) -> dict[int, int]:
    """Map own columns to COCO columns, from pairs ``Own=coco`` and from equal names.

    Raises:
        SettingError: a name in a pair does not exist.
    """
    known = {name.casefold(): number for number, name in enumerate(LABELS) if number and number not in UNUSED}
    own = {name.casefold(): number for number, name in enumerate(classes, start=1)}
    found = {number: known[name] for name, number in own.items() if name in known}
    split = {pair: [part.strip().casefold() for part in pair.partition("=")][::2] for pair in pairs}
    wrong = [pair for pair, (mine, theirs) in split.items() if mine not in own or theirs not in known]
    if wrong:
        remedy = "must be Own=coco with a class of the data set and one of COCO"
        raise SettingError("likeness", ", ".join(wrong), remedy)
    for mine, theirs in split.values():
        found[own[mine]] = known[theirs]
    return dict(sorted(found.items()))


def _from_checkpoint(model: SsdModel, path: str) -> str:
    content = checkpoint.read(path)
    if content.get("format") == checkpoint.FORMAT and content.get("model") != model.name:
        raise CheckpointError(f"checkpoint '{path}' is of {content.get('model')}, but the model is {model.name}")
    state = _tensors(content.get("ema") or content.get("state") or content.get("state_dict") or content)
    return _from_state(model, state, path)


def _from_state(model: SsdModel, state: Mapping[str, Tensor], path: str) -> str:
    for convert in (_as_is, _classifier, imagenet.convert):
        fitting = convert(state, model)
        left = model.load_pretrained(fitting)
        taken = len(model.state_dict()) - len(left)
        if taken >= len(model.state_dict()) // 2:
            heads = sorted({name.split(".")[0] for name in left})
            return f"{taken} of {taken + len(left)} tensors from {path}" + (
                f"; new: {', '.join(heads)}" if left else ""
            )
    raise CheckpointError(f"checkpoint '{path}' fits {model.name} in {taken} of {len(model.state_dict())} tensors only")


def _tensors(state: Mapping[str, Any]) -> dict[str, Tensor]:
    return {key.removeprefix("module."): value for key, value in state.items() if isinstance(value, Tensor)}


def _as_is(state: Mapping[str, Tensor], _: SsdModel) -> dict[str, Tensor]:
    return dict(state)


def _classifier(state: Mapping[str, Tensor], _: SsdModel) -> dict[str, Tensor]:
    """The layers ``model.N`` of pytorch-ssd's ImageNet MobileNetV1 are ``base_net.N`` here."""
    return {f"base_net.{key.removeprefix('model.')}": value for key, value in state.items() if key.startswith("model.")}
