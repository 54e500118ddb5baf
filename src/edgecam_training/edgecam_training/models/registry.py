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

"""The table of networks and their initial checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgecam_core.errors import SettingError

if TYPE_CHECKING:  # the table is read where PyTorch is not installed
    from edgecam_training.models.base import SsdModel

MODELS: dict[str, tuple[str, str]] = {
    "ssd_mobilenet_v1": ("edgecam_training.models.mobilenet_v1_ssd", "MobileNetV1Ssd"),
    "ssd_mobilenet_v2": ("edgecam_training.models.mobilenet_v2_ssd", "MobileNetV2Ssd"),
    "ssdlite_mobilenet_v3": ("edgecam_training.models.ssdlite_v3", "MobileNetV3SsdLite"),
}


def create(name: str, classes: Sequence[str]) -> SsdModel:
    """A network with random weights for these classes (without the background).

    Raises:
        SettingError: no such model.
    """
    model: SsdModel = _type(name)(len(classes) + 1)
    return model


def input_side(name: str) -> int:
    """Side of a network's square input in pixels; raises as :func:`create`."""
    side: int = _type(name).size
    return side


def _type(name: str) -> Any:
    if name not in MODELS:
        raise SettingError("model", name, f"must be one of {', '.join(MODELS)}")
    module, class_name = MODELS[name]
    return getattr(import_module(module), class_name)
