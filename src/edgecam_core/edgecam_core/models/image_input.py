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

"""The model's image input: layout, size and element type from the file, the rest from its metadata."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from edgecam_core.errors import ModelError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models.preprocess import InputSpec

Shape = tuple[int | None, ...]
_RAW = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def image_input(
    model: ModelFile, default: InputSpec, filled: Collection[str] = (), any_size: bool = False
) -> InputSpec:
    """The input that takes the image.

    Args:
        default: the family's defaults for missing metadata.
        filled: inputs other than the image, which the family fills itself.
        any_size: the model resizes images itself; an open input size stays open.

    Raises:
        ModelError: none or several inputs take a colour image, another input is not filled, the size is open, or the
            metadata is invalid or contradicts the file.
    """
    others = set(model.inputs) - set(filled)
    images = {name: layout for name in others if (layout := _layout(model.inputs[name]))}
    if len(images) != 1:
        _refuse_input(model)
    ((name, layout),) = images.items()
    if more := ", ".join(sorted(others - {name})):
        raise ModelError(
            f"{model.path} needs the inputs {more} besides the image; export it with the image as its only input"
        )
    shape = model.inputs[name]
    height, width = shape[_HEIGHT[layout]], shape[_HEIGHT[layout] + 1]
    width = _side(model, "width", width, default.width)
    height = _side(model, "height", height, default.height)
    if not (width and height) and not any_size:
        raise ModelError(
            f"{model.path} leaves its input size open; export it with a fixed height and width, or add the metadata "
            "edgecam.width and edgecam.height"
        )
    mean, std = _normalisation(model, name, default)
    spec = InputSpec(
        name,
        width,
        height,
        mean,
        std,
        color=str(model.fact("color", default.color)).lower(),
        fit=str(model.fact("fit", default.fit)),
        layout=layout,
        dtype=model.type_of(name).name,
    )
    finite = np.isfinite((*spec.mean, *spec.std)).all() and min(spec.std) > 0
    if spec.color not in ("rgb", "bgr") or spec.fit not in ("stretch", "letterbox") or not finite:
        raise ModelError(
            f"{model.path} has impossible metadata: color {spec.color}, fit {spec.fit}, mean {spec.mean}, "
            f"std {spec.std}"
        )
    return spec


_HEIGHT = {"nchw": 2, "nhwc": 1, "chw": 1}  # index of the dimension; the width is the next one


def _layout(shape: Shape) -> str:
    if len(shape) == 4 and (shape[1] == 3 or (shape[1] is None and shape[3] != 3)):
        return "nchw"
    if len(shape) == 4 and shape[3] == 3:
        return "nhwc"
    return "chw" if len(shape) == 3 and shape[0] == 3 else ""


def _refuse_input(model: ModelFile) -> None:
    for name, shape in model.inputs.items():
        if len(shape) == 4 and 1 in (shape[1], shape[3]):
            raise ModelError(f"{model.path} takes grey images ({name}); edgecam feeds three channels")
    raise ModelError(f"{model.path} has no input of shape Nx3xHxW or NxHxWx3, or several ({model.describe()})")


def _side(model: ModelFile, key: str, in_file: int | None, default: int) -> int:
    stated = model.fact(key)
    if stated is not None and (not isinstance(stated, int) or stated < 1 or in_file not in (None, stated)):
        raise ModelError(f"{model.path} has metadata edgecam.{key} = {stated!r}, but its input is {in_file or 'open'}")
    return int(in_file or stated or default)


def _normalisation(
    model: ModelFile, name: str, default: InputSpec
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation. A model with integer input normalises pixels itself."""
    dtype = model.type_of(name)
    if dtype.kind in "iu" and dtype != np.int8:
        stated = _triple(model, "mean", _RAW[0]), _triple(model, "std", _RAW[1])
        if stated != _RAW:
            raise ModelError(
                f"{model.path} takes pixels as {dtype}, but its metadata has edgecam.mean {list(stated[0])} and "
                f"edgecam.std {list(stated[1])}, which produce fractions; remove them or export it with a float input"
            )
        return _RAW
    if dtype.kind != "f":
        raise ModelError(f"{model.path} takes {name} as {dtype}; edgecam feeds float32, float16, uint8 or int32")
    return _triple(model, "mean", default.mean), _triple(model, "std", default.std)


def _triple(model: ModelFile, key: str, default: tuple[float, float, float]) -> tuple[float, float, float]:
    value = model.fact(key, default)
    items = list(value) if isinstance(value, list | tuple) else [value] * 3
    if len(items) != 3 or not all(isinstance(item, int | float) for item in items):
        raise ModelError(f"{model.path} has metadata edgecam.{key} = {value!r}; it must be three numbers")
    return float(items[0]), float(items[1]), float(items[2])
