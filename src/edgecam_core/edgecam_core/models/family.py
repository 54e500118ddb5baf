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

"""A model family defines how the input is prepared and what the outputs mean. One file each, listed in FAMILIES."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from edgecam_core.errors import ModelError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models import foreign_layouts
from edgecam_core.models.preprocess import InputSpec

# Name (as in the metadata ``edgecam.family``): module and class, in the order in which shapes are compared.
FAMILIES: dict[str, tuple[str, str]] = {
    "ssd": ("edgecam_core.models.ssd", "SsdFamily"),
    "final": ("edgecam_core.models.final", "FinalFamily"),
    "detr": ("edgecam_core.models.detr", "DetrFamily"),
    "yolo": ("edgecam_core.models.yolo", "YoloFamily"),
    "yolov7-end2end": ("edgecam_core.models.yolov7_end2end", "Yolov7End2EndFamily"),
}


@dataclass(frozen=True)
class Candidates:
    """The boxes of one image above their thresholds, before suppression, unsorted.

    ``boxes`` (N, 4) x1 y1 x2 y2 in the family's unit, ``scores`` (N,) in 0..1, ``classes`` (N,) indices of score
    columns.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


class Family(ABC):
    """Decodes the outputs of one kind of model.

    ``columns`` is the number of score columns; ``has_background``: column 0 is the background. ``needs_nms`` is False
    if the model suppresses duplicates itself. ``fractions``: candidate boxes are fractions of the network's input, else
    pixels of it.
    """

    name: str = ""
    has_background: bool = False
    needs_nms: bool = True
    fractions: bool = False

    def __init__(self, spec: InputSpec, columns: int) -> None:
        self.spec = spec
        self.columns = columns

    @classmethod
    @abstractmethod
    def fits(cls, model: ModelFile) -> bool:
        """Whether the model's outputs have the names and shapes of this family."""

    @classmethod
    @abstractmethod
    def open(cls, model: ModelFile, labels: Sequence[str] = ()) -> Family:
        """Read sizes and normalisation from the file.

        Args:
            labels: the labels found for the model; they set the number of classes if the file does not.

        Raises:
            ModelError: the file contradicts itself or lacks a required size or number.
        """

    def extra_inputs(self, count: int) -> dict[str, np.ndarray]:
        """Inputs of the model besides the images, for a batch of ``count``; empty for most families."""
        return {}

    @abstractmethod
    def candidates(self, outputs: Mapping[str, np.ndarray], index: int, thresholds: np.ndarray) -> Candidates:
        """The boxes of image ``index`` of the batch with a score above the threshold of their class.

        Args:
            outputs: as returned by the runner, batch first.
            thresholds: (columns,) float32; above 1 for a class that is not reported.

        Raises:
            InferenceError: the outputs hold NaN or contradict the file.
        """


def open_family(model: ModelFile, labels: Sequence[str] = ()) -> Family:
    """The family that a model's metadata names, else the first whose shapes fit.

    Raises:
        ModelError: no family fits; the message lists the inputs and outputs of the file.
    """
    named = model.fact("family")
    if named is not None and named not in FAMILIES:
        raise ModelError(f"{model.path} is of family '{named}'; this build knows {', '.join(FAMILIES)}")
    if not named and (foreign := foreign_layouts.reason(model)):
        raise ModelError(f"parameter 'model' is '{model.path}': {foreign} ({model.describe()})")
    for name in [named] if named else FAMILIES:
        family = _family_type(name)
        if family.fits(model):
            return family.open(model, labels)
    expected = f"family '{named}'" if named else f"any of the families {', '.join(FAMILIES)}"
    raise ModelError(f"parameter 'model' is '{model.path}': its tensors do not fit {expected} ({model.describe()})")


def _family_type(name: str) -> type[Family]:
    module, class_name = FAMILIES[name]
    family = getattr(import_module(module), class_name)
    assert issubclass(family, Family)
    return family
