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

"""INT8 from the ranges in a model's metadata: needs no calibration images and gives the same file on every machine.

A network trained with simulated quantisation (Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", 2018) has a fixed range for each tensor. ``edgecam.ranges`` holds the ranges of the
activations, ``edgecam.steps`` the quantisation step of each weight tensor. Nearly all weights are multiples of it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from edgecam_core.inference.model_file import ModelFile

_QUANTISED = ("Conv", "Add", "Clip")
_TOP = 127  # of a symmetric int8


def has_ranges(model: ModelFile) -> bool:
    """Whether this is an fp32 model that can be quantised without calibration images."""
    return model.precision == "fp32" and isinstance(model.fact("ranges"), dict)


def without(metadata: Mapping[str, str], convolutions: Collection[str]) -> dict[str, str]:
    """The metadata without the ranges and steps of these convolutions, which have new weights.

    Args:
        convolutions: their outputs; the weight of ``name`` is ``name.weight``.
    """
    kept = dict(metadata)
    for key in kept.keys() & {"edgecam.ranges", "edgecam.steps"}:
        known = json.loads(kept[key])
        kept[key] = json.dumps(
            {name: value for name, value in known.items() if name.removesuffix(".weight") not in convolutions}
        )
    return kept


def quantise(model: ModelFile, proto: Any, excluded: set[str], *, signed: bool) -> Any:
    """A ModelProto with Q/DQ pairs around all nodes whose activations have a known range.

    Args:
        proto: the ModelProto, every node with a name; it is modified.
        excluded: names of nodes that stay in floating point.
        signed: symmetric int8 activations and float biases (TensorRT), else uint8 activations.
    """
    from onnx import numpy_helper
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorData, TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    ranges: dict[str, tuple[float, float]] = model.fact("ranges")
    steps: dict[str, float] = model.fact("steps", {})
    weights = {item.name: item for item in proto.graph.initializer}
    nodes = [node for node in proto.graph.node if _has_ranges(node, ranges, weights) and node.name not in excluded]
    kernels = {node.input[1] for node in nodes if node.op_type == "Conv"} & steps.keys()
    extra: dict[str, Any] = {
        "TensorQuantOverrides": {
            name: channel_ranges(numpy_helper.to_array(weights[name]), steps[name]) for name in sorted(kernels)
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


def _has_ranges(node: Any, ranges: Mapping[str, object], weights: Mapping[str, object]) -> bool:
    activations = [name for name in (*node.input, *node.output) if name not in weights]
    return node.op_type in _QUANTISED and all(name in ranges for name in activations)


def channel_ranges(weight: np.ndarray, step: float) -> list[dict[str, Any]]:
    """The range of each output channel, as ONNX Runtime's ``TensorQuantOverrides`` takes it.

    A channel whose weights fit into -127..127 steps keeps the step of the training: its weights are exact. In the other
    channels either the largest weights are clipped or the step grows, whichever has the smaller squared error.

    Args:
        weight: [out, ...].
        step: the quantisation step of the training.
    """
    channels: list[dict[str, Any]] = []
    for channel in weight.astype(np.float64).reshape(len(weight), -1):
        tops = (_TOP * step, float(np.abs(channel).max(initial=0)))
        top = min(tops, key=lambda top: _squared_error(channel, top)) if tops[1] > tops[0] else tops[0]
        channels.append({"rmin": np.float32(-top), "rmax": np.float32(top)})
    channels[0]["axis"] = 0
    return channels


def _squared_error(channel: np.ndarray, top: float) -> float:
    step = top / _TOP
    return float(np.square(np.clip(np.rint(channel / step), -_TOP, _TOP) * step - channel).sum())
