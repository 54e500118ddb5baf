"""A model family: how an image goes in and what the outputs mean. One file each, found by the table below."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from edgecam_core.errors import InferenceError, ModelError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models.preprocess import InputSpec

# Name (as in the metadata ``edgecam.family``) -> module and class, in the order shapes are compared.
FAMILIES: dict[str, tuple[str, str]] = {
    "ssd": ("edgecam_core.models.ssd", "SsdFamily"),
    "final": ("edgecam_core.models.final", "FinalFamily"),
    "detr": ("edgecam_core.models.detr", "DetrFamily"),
    "yolo": ("edgecam_core.models.yolo", "YoloFamily"),
}


@dataclass(frozen=True)
class Candidates:
    """What a model proposes for one image, unsorted: boxes (N, 4) x1 y1 x2 y2 in pixels of the network's input,
    scores (N,) in 0..1, classes (N,) as indices of score columns."""

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


class Family(ABC):
    """Subclasses decode. ``columns`` is the number of score columns, ``has_background`` whether column 0 is none.

    ``needs_nms`` is False where the model suppresses duplicates itself.
    """

    name: str = ""
    has_background: bool = False
    needs_nms: bool = True

    def __init__(self, spec: InputSpec, columns: int) -> None:
        self.spec = spec
        self.columns = columns

    @classmethod
    @abstractmethod
    def fits(cls, model: ModelFile) -> bool:
        """Whether inputs and outputs look like this family's."""

    @classmethod
    @abstractmethod
    def open(cls, model: ModelFile) -> Family:
        """Read sizes and normalisation from the file.

        Raises:
            ModelError: the file contradicts itself or leaves open what must be known.
        """

    @classmethod
    def labels(cls, model: ModelFile) -> tuple[str, ...]:
        """The labels in the file's metadata; empty where it has none."""
        found = model.fact("labels", ())
        return tuple(str(label) for label in found) if isinstance(found, list | tuple) else ()

    @abstractmethod
    def candidates(self, outputs: Mapping[str, np.ndarray], index: int, thresholds: np.ndarray) -> Candidates:
        """What image ``index`` of the batch shows with a score above its class's threshold.

        Args:
            outputs: as the runner gave them, batch first.
            thresholds: (columns,) float32; above 1 for a class nobody wants.

        Raises:
            InferenceError: the outputs hold values that are not numbers.
        """


def open_family(model: ModelFile) -> Family:
    """The family that a model's metadata names, else the first whose shapes fit.

    Raises:
        ModelError: none fits; the text lists what the file has.
    """
    named = model.fact("family")
    if named is not None and named not in FAMILIES:
        raise ModelError(f"{model.path} is of family '{named}'; this build knows {', '.join(FAMILIES)}")
    for name in [named] if named else FAMILIES:
        family = _family_type(name)
        if family.fits(model):
            return family.open(model)
    wanted = f"family '{named}'" if named else f"any of the families {', '.join(FAMILIES)}"
    raise ModelError(f"parameter 'model' is '{model.path}': its tensors do not fit {wanted} ({model.describe()})")


def _family_type(name: str) -> type[Family]:
    module, class_name = FAMILIES[name]
    family = getattr(import_module(module), class_name)
    assert issubclass(family, Family)
    return family


def image_input(model: ModelFile, default: InputSpec) -> InputSpec:
    """How the model's image input is fed: sizes from its shape, the rest from its metadata or ``default``.

    Raises:
        ModelError: not one NCHW input with three channels, another input beside it, a free size without metadata, or
            metadata that cannot be.
    """
    images = {name: shape for name, shape in model.inputs.items() if len(shape) == 4 and shape[1] in (3, None)}
    if len(images) != 1:
        raise ModelError(f"{model.path} has no input of shape Nx3xHxW, or several ({model.describe()})")
    ((name, shape),) = images.items()
    if others := ", ".join(sorted(set(model.inputs) - {name})):
        raise ModelError(
            f"{model.path} wants {others} beside the image, which edgecam does not feed; export it with the image "
            "as its only input, for RT-DETR and its like without the postprocessor (logits and boxes)"
        )
    width = shape[3] or model.fact("width", default.width)
    height = shape[2] or model.fact("height", default.height)
    if not width or not height:
        raise ModelError(f"{model.path} leaves its input size open; export it with a fixed height and width")
    spec = InputSpec(
        name=name,
        width=int(width),
        height=int(height),
        mean=_triple(model, "mean", default.mean),
        std=_triple(model, "std", default.std),
        color=str(model.fact("color", default.color)).lower(),
        fit=str(model.fact("fit", default.fit)),
    )
    if spec.color not in ("rgb", "bgr") or spec.fit not in ("stretch", "letterbox") or 0 in spec.std:
        raise ModelError(f"{model.path} has impossible metadata: color {spec.color}, fit {spec.fit}, std {spec.std}")
    return spec


def _triple(model: ModelFile, key: str, default: tuple[float, float, float]) -> tuple[float, float, float]:
    value = model.fact(key, default)
    items = list(value) if isinstance(value, list | tuple) else [value] * 3
    if len(items) != 3 or not all(isinstance(item, int | float) for item in items):
        raise ModelError(f"{model.path} has metadata edgecam.{key} = {value!r}; it must be three numbers")
    return float(items[0]), float(items[1]), float(items[2])


def check_numbers(scores: np.ndarray) -> None:
    """Raise InferenceError where a score is NaN: a model broken by its precision, not an empty image."""
    if np.isnan(scores.max(initial=0.0)):
        raise InferenceError("the model's scores are not numbers (NaN); its precision may be too low for it")
