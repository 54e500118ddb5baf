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

"""INT8 from the ranges a model brings along in its metadata: no images, the same file on every machine.

A network trained with simulated quantisation (Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", 2018) has learned with one range for each tensor. ``edgecam.ranges`` holds those of
the activations, ``edgecam.steps`` the step of each weight tensor's grid. On that grid nearly all weights are exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgecam_core.inference.model_file import ModelFile

_QUANTISED = ("Conv", "Add", "Clip")
_TOP = 127  # of a symmetric int8


def has_ranges(model: ModelFile) -> bool:
    """Whether a float model can be quantised without calibration images."""
    return model.precision == "fp32" and isinstance(model.fact("ranges"), dict)


def quantise(model: ModelFile, proto: Any, in_float: set[str], *, signed: bool) -> Any:
    """A ModelProto with Q/DQ pairs around all nodes whose activations have a known range.

    Args:
        proto: the model, its nodes named; it is changed.
        in_float: names of nodes to leave alone.
        signed: symmetric int8 activations and float biases (TensorRT), else uint8 activations.
    """
    from onnx import numpy_helper
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorData, TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    ranges: dict[str, tuple[float, float]] = model.fact("ranges")
    steps: dict[str, float] = model.fact("steps", {})
    weights = {item.name: item for item in proto.graph.initializer}
    nodes = [node for node in proto.graph.node if _is_known(node, ranges, weights) and node.name not in in_float]
    kernels = {node.input[1] for node in nodes if node.op_type == "Conv"} & steps.keys()
    extra: dict[str, Any] = {
        "TensorQuantOverrides": {
            name: on_grid(numpy_helper.to_array(weights[name]), steps[name]) for name in sorted(kernels)
        },
        "WeightSymmetric": True,
        "ActivationSymmetric": signed,
        "QuantizeBias": not signed,
    }
    limits = {
        name: TensorData(lowest=np.float32(low), highest=np.float32(high)) for name, (low, high) in ranges.items()
    }
    quantiser = QDQQuantizer(
        proto, True, False, QuantType.QInt8, QuantType.QInt8 if signed else QuantType.QUInt8,
        TensorsData(CalibrationMethod.MinMax, limits), [node.name for node in nodes], [], list(_QUANTISED), extra,
    )  # fmt: skip
    quantiser.quantize_model()
    quantiser.model.topological_sort()
    return quantiser.model.model


def _is_known(node: Any, ranges: Mapping[str, object], weights: Mapping[str, object]) -> bool:
    activations = [name for name in (*node.input, *node.output) if name not in weights]
    return node.op_type in _QUANTISED and all(name in ranges for name in activations)


def on_grid(weight: np.ndarray, step: float) -> list[dict[str, Any]]:
    """The range of each output channel, as ONNX Runtime's quantiser takes it.

    A channel keeps the step it was trained with where its weights fit into -127..127 steps: then they are exact. In the
    others the extremes are clipped, or the step is widened, whichever moves the weights less.

    Args:
        weight: [out, ...]; ``step`` is that of its grid.
    """
    channels: list[dict[str, Any]] = []
    for channel in weight.astype(np.float64).reshape(len(weight), -1):
        tops = (_TOP * step, float(np.abs(channel).max(initial=0)))
        top = min(tops, key=lambda top: _moved(channel, top)) if tops[1] > tops[0] else tops[0]
        channels.append({"rmin": np.float32(-top), "rmax": np.float32(top)})
    channels[0]["axis"] = 0
    return channels


def _moved(channel: np.ndarray, top: float) -> float:
    step = top / _TOP
    return float(np.square(np.clip(np.rint(channel / step), -_TOP, _TOP) * step - channel).sum())
