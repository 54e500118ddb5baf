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

"""Precision of a TensorRT network: sets it while the network is built, and verifies it in the network or engine."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from edgecam_core.errors import ModelError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.precision import fp32_tensors


def allow_precision(trt: Any, network: Any, config: Any, model: ModelFile, precision: str, calibrated: bool) -> None:
    """Weakly typed networks: let TensorRT use FP16 and INT8, but keep FP32 in the layers that need it.

    Args:
        precision: of the engine: fp32, fp16 or int8.
        calibrated: INT8 ranges come from a calibrator or from the metadata, not from Q/DQ pairs in the graph.
    """
    flags = {"fp16": ("FP16",), "int8": ("INT8", "FP16")}.get(precision, ())
    if not flags:
        return
    for flag in (*flags, "OBEY_PRECISION_CONSTRAINTS"):  # with PREFER_... TensorRT may ignore them silently
        config.set_flag(getattr(trt.BuilderFlag, flag))
    # In a graph with Q/DQ pairs, these define which convolutions are INT8.
    for layer in layers_of(trt, network, fp32_tensors(model, with_sensitive=calibrated)):
        layer.precision = trt.DataType.FLOAT
        for index in range(layer.num_outputs):  # the precision does not determine the type of the outputs
            if layer.get_output(index).dtype == trt.DataType.FLOAT:
                layer.set_output_type(index, trt.DataType.FLOAT)


def set_ranges(network: Any, ranges: Mapping[str, tuple[float, float]], model: ModelFile) -> None:
    """Set symmetric ranges, as TensorRT requires. A layer with a tensor without a range does not run in INT8.

    Raises:
        ModelError: the network has none of these tensors.
    """
    tensors = [network.get_input(index) for index in range(network.num_inputs)]
    tensors += [layer.get_output(index) for layer in _layers(network) for index in range(layer.num_outputs)]
    known = [tensor for tensor in tensors if tensor.name in ranges]
    if not known:
        names = ", ".join(list(ranges)[:3])
        raise ModelError(f"{model.path} has edgecam.ranges of {names}, ..., but TensorRT's network has no such tensor")
    for tensor in known:
        limit = max(map(abs, ranges[tensor.name]))
        tensor.set_dynamic_range(-limit, limit)


def layers_of(trt: Any, network: Any, tensors: set[str]) -> list[Any]:
    """The layers of a parsed network that compute these tensors of the ONNX file in floating point."""
    no_arithmetic = (trt.LayerType.CONSTANT, trt.LayerType.SHAPE, trt.LayerType.CONCATENATION)
    return [
        layer
        for layer in _layers(network)
        if layer.type not in no_arithmetic
        and layer.get_output(0).name in tensors
        and layer.get_output(0).dtype == trt.DataType.FLOAT
    ]


def _layers(network: Any) -> list[Any]:
    return [network.get_layer(index) for index in range(network.num_layers)]


def network_precisions(trt: Any, network: Any) -> Counter[str]:
    """Number of convolutions of a parsed network by precision: fp32, fp16, int8."""
    producers = {}
    layers = _layers(network)
    for layer in layers:
        for index in range(layer.num_outputs):
            producers[layer.get_output(index).name] = layer
    found: Counter[str] = Counter()
    for layer in layers:
        if layer.type in (trt.LayerType.CONVOLUTION, trt.LayerType.DECONVOLUTION, trt.LayerType.MATRIX_MULTIPLY):
            # A convolution is INT8 only if both its data and its weights are quantised.
            operands = [layer.get_input(index) for index in range(min(2, layer.num_inputs))]
            sources = [producers.get(operand.name) for operand in operands if operand is not None]
            if len(sources) == 2 and all(source and source.type == trt.LayerType.DEQUANTIZE for source in sources):
                found["int8"] += 1
            else:
                found["fp16" if layer.get_output(0).dtype == trt.DataType.HALF else "fp32"] += 1
    return found


def require_precision(precision: str, layers: Counter[str], what: str) -> None:
    """Raise ModelError unless most convolutions compute in the requested precision."""
    if layers and layers[precision] * 2 <= sum(layers.values()):
        found = ", ".join(f"{count} {name}" for name, count in layers.items())
        raise ModelError(f"{what} should be {precision}, but its convolutions are {found}")


def require_engine_precision(precision: str, information: str, what: str) -> None:
    """Raise ModelError if an engine should compute in FP16 or INT8 but does not.

    Args:
        information: the engine inspector's JSON. Most TensorRT versions report the type of each convolution's weights;
            without it, one tensor of the type is enough.
    """
    if precision not in ("fp16", "int8"):
        return
    if weights := _types(r'"Weights":\s*{\s*"Type":\s*"(\w+)",\s*"Count":\s*[1-9]', information):
        require_precision(precision, weights, what)
    elif not (tensors := _types(r'"Format/Datatype":\s*"([^"]*)"', information))[precision]:
        require_precision(precision, tensors, what)


def _types(pattern: str, information: str) -> Counter[str]:
    names = {"half": "fp16", "fp16": "fp16", "int8": "int8", "float": "fp32", "fp32": "fp32"}
    types = [text.lower() for text in re.findall(pattern, information)]
    return Counter(precision for text in types for name, precision in names.items() if name in text)
