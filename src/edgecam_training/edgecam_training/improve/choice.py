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

"""Chooses what ``edgecam improve`` trains on this machine: the class heads only, or all weights of the network."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from edgecam_core.errors import MissingDependency, SettingError

AUTO, HEADS, ALL = "auto", "heads", "all"
TRAIN = (AUTO, HEADS, ALL)
_INSTALL = "pip install torch, or train the class heads only (--train heads)"


@dataclass(frozen=True)
class TrainingScope:
    """``trained`` is :data:`HEADS` or :data:`ALL`; ``reason`` is for the user."""

    trained: str
    reason: str

    def __str__(self) -> str:
        what = "all weights of the network" if self.trained == ALL else "the class heads only"
        return f"training {what}: {self.reason}"


def choose(train: str, known_images: bool) -> TrainingScope:
    """What the setting ``train`` means on this machine. Takes seconds if PyTorch is installed, unless it is ``heads``.

    ``auto`` is all weights where PyTorch finds a GPU with CUDA: on a CPU they take hours instead of minutes. It is the
    class heads without ``known_images`` (an old set or replay): nothing would show what the network forgets.

    Raises:
        SettingError: unknown setting.
        MissingDependency: ``all``, and PyTorch is not installed or cannot be loaded.
    """
    if train not in TRAIN:
        raise SettingError("train", train, f"must be one of {', '.join(TRAIN)}")
    if train == HEADS:
        return TrainingScope(HEADS, "--train heads")
    device = _device()
    if train == ALL:
        if device is None:
            raise MissingDependency("PyTorch, which --train all needs,", _INSTALL)
        return TrainingScope(ALL, f"--train all, on {device}")
    if device is None:
        return TrainingScope(HEADS, "PyTorch is not installed; --train all needs it")
    if device == "the CPU":
        return TrainingScope(HEADS, "PyTorch finds no GPU with CUDA; --train all trains all weights on the CPU, slowly")
    if not known_images:
        return TrainingScope(
            HEADS, f"without --old-set or --replay, a loss of known labels is not seen; {device} could train all"
        )
    return TrainingScope(ALL, f"PyTorch finds {device}")


def _device() -> str | None:
    """What PyTorch computes on, as text; None without PyTorch."""
    if importlib.util.find_spec("torch") is None:
        return None
    try:
        import torch
    except (ImportError, OSError):  # OSError: one of its libraries is missing
        return None
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "the CPU"
