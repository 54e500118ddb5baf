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

"""INT8 with Q/DQ nodes around convolutions, calibrated on real images, in two variants.

``tensorrt``: activations and weights int8, symmetric, per channel; biases in float (TensorRT rejects quantised biases).
``cpu``: activations uint8, weights int8, which is fast on x86 CPUs. Each variant is slow on the hardware of the other,
so the metadata ``edgecam.int8`` records the variant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from edgecam_core.errors import SettingError
from edgecam_core.inference.onnxruntime_runner import cpu_session
from edgecam_core.temporary import TemporaryFolder
from onnx import helper

FLAVOURS = ("tensorrt", "cpu")
RECIPES = ("minmax", "average")
LEAST_IMAGES = 300  # with fewer images the ranges of activations are unreliable


@dataclass(frozen=True)
class Ranges:
    """The result of a calibration: the prepared model and the range of every tensor."""

    prepared: bytes
    tensors: Any
    convolutions: tuple[str, ...]
    flavour: str


class _Feed:
    """Hands the calibrator one input at a time."""

    def __init__(self, name: str, inputs: Iterable[np.ndarray]) -> None:
        self._name, self._inputs = name, iter(inputs)

    def get_next(self) -> dict[str, np.ndarray] | None:
        item = next(self._inputs, None)
        return None if item is None else {self._name: item}


def calibrate(model: Path, inputs: Sequence[np.ndarray], flavour: str, recipe: str = "minmax") -> Ranges:
    """Measure the range of every activation; blocks for about 20 ms per image.

    Args:
        recipe: ``minmax``: the extremes of all images; ``average``: the mean of each image's extremes, which clips
            outliers.

    Raises:
        SettingError: unknown flavour or recipe.
    """
    if flavour not in FLAVOURS:
        raise SettingError("int8", flavour, f"must be one of {', '.join(FLAVOURS)}")
    if recipe not in RECIPES:
        raise SettingError("calibration", recipe, f"must be one of {', '.join(RECIPES)}")
    from onnxruntime.quantization.calibrate import CalibrationMethod, create_calibrator
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with TemporaryFolder("int8") as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
        data = prepared.read_bytes()
        options = {"symmetric": flavour == "tensorrt", "moving_average": recipe == "average"}
        calibrator = create_calibrator(
            prepared, ["Conv"], augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=CalibrationMethod.MinMax, extra_options=options,
        )  # fmt: skip
        proto = onnx.load_from_string(data)
        calibrator.collect_data(_Feed(proto.graph.input[0].name, inputs))
        tensors = calibrator.compute_data()
        del calibrator
    names = tuple(node.name for node in proto.graph.node if node.op_type == "Conv")
    return Ranges(data, tensors, names, flavour)


def best_ranges(model: Path, inputs: Sequence[np.ndarray], flavour: str, tell: Callable[[str], None]) -> Ranges:
    """The ranges of the recipe whose INT8 outputs differ least from the float model's.

    Measured on every tenth image, which is not used for calibration. The images of the acceptance check are not used.
    """
    probe = list(inputs[9::10])
    others = [item for place, item in enumerate(inputs) if place % 10 != 9]
    found = {recipe: calibrate(model, others, flavour, recipe) for recipe in RECIPES}
    errors = {recipe: output_error(ranges, probe) for recipe, ranges in found.items()}
    tell("error of the outputs: " + ", ".join(f"{recipe} {error:.4g}" for recipe, error in errors.items()))
    return found[min(errors, key=lambda recipe: errors[recipe])]


def output_error(ranges: Ranges, inputs: Sequence[np.ndarray]) -> float:
    """Root mean square difference between the outputs in float and in INT8."""
    pairs = zip(_outputs(ranges.prepared, inputs), _outputs(quantize(ranges), inputs), strict=True)
    return float(np.sqrt(np.mean([float(np.square(a - b).mean()) for a, b in pairs])))


def quantize(ranges: Ranges, keep: Iterable[str] = (), only: Iterable[str] | None = None) -> bytes:
    """The model with all convolutions in INT8 except ``keep``, or with ``only`` these in INT8."""
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    for_tensorrt = ranges.flavour == "tensorrt"
    extra = {"ActivationSymmetric": for_tensorrt, "WeightSymmetric": True, "QuantizeBias": not for_tensorrt}
    chosen = [name for name in ranges.convolutions if name not in set(keep) and (only is None or name in set(only))]
    quantizer = QDQQuantizer(
        onnx.load_from_string(ranges.prepared), True, False, QuantType.QInt8,
        QuantType.QInt8 if for_tensorrt else QuantType.QUInt8,
        ranges.tensors, chosen, [], ["Conv"], extra,
    )  # fmt: skip
    quantizer.quantize_model()
    proto = quantizer.model.model
    source = onnx.load_from_string(ranges.prepared)
    facts = {item.key: item.value for item in source.metadata_props}
    facts |= {"edgecam.precision": "int8", "edgecam.int8": ranges.flavour}
    facts["edgecam.float_layers"] = str(len(ranges.convolutions) - len(chosen))
    helper.set_model_props(proto, facts)
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def sensitivity(ranges: Ranges, inputs: Sequence[np.ndarray]) -> list[str]:
    """The convolutions, most sensitive first: each is quantised alone and the change of the outputs measured.

    Blocks for about a second per convolution.
    """
    reference = _outputs(ranges.prepared, inputs)
    harm = {}
    for name in ranges.convolutions:
        changed = _outputs(quantize(ranges, only=[name]), inputs)
        harm[name] = sum(float(np.square(a - b).sum()) for a, b in zip(reference, changed, strict=True))
    return sorted(harm, key=lambda name: -harm[name])


def _outputs(model: bytes, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    session = cpu_session(model)
    name = session.get_inputs()[0].name
    return [np.asarray(output) for item in inputs for output in session.run(None, {name: item})]
