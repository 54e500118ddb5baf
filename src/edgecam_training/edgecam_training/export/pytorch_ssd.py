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

"""Writes checkpoints for pytorch-ssd and jetson-inference: the plain state dict that their ``net.load`` expects."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import torch
from edgecam_core.models.labels import BACKGROUND

from edgecam_core import cache
from edgecam_training.data.text_files import read_lines
from edgecam_training.errors import ExportError
from edgecam_training.models.base import SsdModel
from edgecam_training.models.mobilenet_v1_ssd import MobileNetV1Ssd


def export(model: SsdModel, classes: Sequence[str], path: Path) -> Path:
    """Write the weights to ``path`` and the class list, BACKGROUND first, to ``labels.txt`` next to it.

    Names and shapes are those of pytorch-ssd's ``mb1-ssd``; the file holds only float32 tensors.

    Returns:
        The label file.

    Raises:
        ExportError: another network, or there is a ``labels.txt`` with other classes.
    """
    if not isinstance(model, MobileNetV1Ssd):
        raise ExportError(f"pytorch-ssd has no network like {model.name}; it takes ssd_mobilenet_v1 (its mb1-ssd)")
    labels = path.with_name("labels.txt")
    lines = [BACKGROUND, *classes]
    if labels.is_file() and read_lines(labels) != lines:
        raise ExportError(f"{labels} lists other classes than the checkpoint; choose another folder for --output")
    buffer = io.BytesIO()
    torch.save({name: value.detach().cpu().clone() for name, value in model.state_dict().items()}, buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    cache.write(path, buffer.getvalue())
    cache.write(labels, ("\n".join(lines) + "\n").encode())
    return labels
