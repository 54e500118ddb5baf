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

"""Writes the precision into the ONNX graph: FP16 casts, or INT8 as QuantizeLinear/DequantizeLinear (Q/DQ) pairs.

A precision that is explicit in the graph cannot be changed silently, and every back end reads the same file.
Boxes are always decoded in FP32: nodes after the last convolution are not converted. INT8 also leaves the first and
last convolutions in floating point: FP32 for CPUs, FP16 for TensorRT.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecam_core.errors import MissingDependency, ModelError
from edgecam_core.inference import artifacts, shipped_int8
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.temporary import TemporaryFolder

if TYPE_CHECKING:
    from edgecam_core.inference.runner import CalibrationImages, Progress, RunnerOptions

log = logging.getLogger(__name__)

# INT8 flavours: CPUs are fast with unsigned activations, TensorRT accepts only symmetric signed ones.
CPU, TENSORRT = "cpu", "tensorrt"
_HEAVY = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_FP16_QDQ = 19  # the first opset whose QuantizeLinear and DequantizeLinear accept FP16
_EARLY = 5  # number of first convolutions that INT8 leaves in floating point
_INSTALL = "pip install onnxruntime onnx sympy"


def convert_precision(model: ModelFile, options: RunnerOptions, flavour: str) -> ModelFile:
    """The model in the requested precision, built once and cached with the engines.

    FP16 takes a second. INT8 runs all calibration images through the FP32 model and takes a few times as long. Without
    calibration images, INT8 uses the ranges in the model's metadata, if it has any; that takes a few seconds.

    Args:
        flavour: the kind of INT8: ``CPU`` or ``TENSORRT``.

    Raises:
        ModelError: the file has another precision already, or INT8 has neither calibration images nor ranges.
        MissingDependency: the tools are not installed.
        CacheError: see :meth:`Artifact.get`.
    """
    precision = options.precision
    if precision in ("auto", model.precision):
        return model
    if model.precision != "fp32":
        raise ModelError(
            f"parameter 'precision' is '{precision}', but {model.path} is {model.precision} already; use the fp32 model"
        )
    int8 = flavour if precision == "int8" else ""
    calibration = options.calibration
    shipped = precision == "int8" and calibration is None and shipped_int8.has_ranges(model)
    facts: dict[str, Any] = {"model_sha256": model.sha256, "precision": precision, "flavour": int8}
    if shipped:
        facts["ranges"] = "those in the model"  # its own file: never overwrites one with the user's calibration
    name = "-".join(filter(None, (model.path.stem, precision, int8, artifacts.tag(facts))))
    artifact = artifacts.Artifact(artifacts.folder(options.cache) / f"{name}.onnx")
    if precision == "fp16":
        path = artifact.get(facts, lambda: (_fp16(model), {}), **options.artifact_options())
        return _derived(model, path)
    # The quantisation scheme is part of the facts, so that files of older versions are rebuilt.
    facts |= {
        "in_fp32": f"decoding, heads, first {_EARLY}" if flavour == CPU else "decoding; heads and first in fp16",
        "calibration": calibration.fingerprint() if calibration else None,
    }

    def quantise() -> tuple[bytes, dict[str, Any]]:
        if shipped:
            options.progress("quantising to int8")
            return _from_ranges(model, flavour), {}
        images = require_calibration(calibration)
        options.progress("calibrating int8")
        return _int8(model, images, flavour, options.progress), {}

    return _derived(model, artifact.get(facts, quantise, **options.artifact_options()))


def require_calibration(calibration: CalibrationImages | None) -> CalibrationImages:
    """The calibration images. Raises ModelError if there are none."""
    if calibration is None:
        raise ModelError(
            "parameter 'precision' is 'int8', which needs parameter 'calibration': a folder of a few hundred "
            "images like those the detector will see"
        )
    return calibration


def _derived(model: ModelFile, path: Path) -> ModelFile:
    """The derived file with the metadata of the original."""
    return replace(ModelFile.read(path), metadata=model.metadata)


def decoding_nodes(proto: Any) -> list[str]:
    """Names of the nodes that decode boxes: those from which no convolution can be reached."""
    heavy_tensors: set[str] = set()
    names = []
    for node in reversed(proto.graph.node):
        if node.op_type in _HEAVY or any(output in heavy_tensors for output in node.output):
            heavy_tensors.update(node.input)
        else:
            names.append(node.name)
    return names


def sensitive_nodes(proto: Any) -> list[str]:
    """Names of the convolutions that lose most accuracy in INT8: the first ones and the heads before the decoding.

    Keeping them in floating point costs a tenth of the speed; quantising them costs the default model 0.5 to 2 points
    of mAP. If they are at least half of all convolutions, the list is empty and the whole network is quantised.
    """
    after: set[str] = set()  # tensors from which a convolution can be reached
    heads = []
    for node in reversed(proto.graph.node):
        reaches = any(output in after for output in node.output)
        if node.op_type in _HEAVY and not reaches:
            heads.append(node.name)
        if node.op_type in _HEAVY or reaches:
            after.update(node.input)
    heavy = [node.name for node in proto.graph.node if node.op_type in _HEAVY]
    kept = list(dict.fromkeys([*heavy[:_EARLY], *heads]))
    return kept if 2 * len(kept) < len(heavy) else []


def fp32_tensors(model: ModelFile, with_sensitive: bool) -> set[str]:
    """Names of the outputs of the nodes that stay in FP32: the decoding and, if asked, the sensitive convolutions."""
    proto = _load(model)
    names = {*decoding_nodes(proto), *(sensitive_nodes(proto) if with_sensitive else ())}
    return {output for node in proto.graph.node if node.name in names for output in node.output}


def _load(model: ModelFile) -> Any:
    proto = model.proto()
    for number, node in enumerate(proto.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    return proto


def _fp16(model: ModelFile) -> bytes:
    return model.packed(_cast_to_fp16(_load(model)))


def _cast_to_fp16(proto: Any) -> Any:
    """Cast everything but the decoding to FP16; inputs and outputs keep their types."""
    try:
        from onnxruntime.transformers.float16 import convert_float_to_float16
    except ImportError as error:
        raise MissingDependency("the converter to fp16", _INSTALL) from error
    proto = convert_float_to_float16(proto, keep_io_types=True, node_block_list=decoding_nodes(proto))
    nodes: dict[str, Any] = {}
    for node in proto.graph.node:  # ONNX Runtime 1.30 adds one cast per user of a shared weight, all of the same name
        nodes.setdefault(node.output[0], node)
    kept = list(nodes.values())
    del proto.graph.node[:]
    proto.graph.node.extend(kept)
    return proto


def _half_remainder(proto: Any) -> Any:
    """Cast what is not quantised to FP16: a strongly typed network computes in the types of the file.

    Q/DQ pairs accept FP16 from opset 19 on. A graph that cannot be converted to it keeps FP32 there.
    """
    from onnx import version_converter

    version = max((item.version for item in proto.opset_import if item.domain in ("", "ai.onnx")), default=0)
    try:
        newer = proto if version >= _FP16_QDQ else version_converter.convert_version(proto, _FP16_QDQ)
    except Exception as error:  # from onnx's C++, for operators without an adapter
        log.warning("layers not in int8 stay in fp32: the graph cannot be converted to opset %d (%s)", _FP16_QDQ, error)
        return proto
    return _cast_to_fp16(newer)


def _from_ranges(model: ModelFile, flavour: str) -> bytes:
    proto = _load(model)
    signed = flavour == TENSORRT
    with _quiet():
        try:
            excluded = set(sensitive_nodes(proto)) if signed else set()
            quantised = shipped_int8.quantise(model, proto, excluded, signed=signed)
        except ImportError as error:
            raise MissingDependency("the int8 quantiser", _INSTALL) from error
    return model.packed(_finished_for_tensorrt(quantised) if signed else quantised)


def _int8(model: ModelFile, calibration: CalibrationImages, flavour: str, progress: Progress) -> bytes:
    try:
        from onnxruntime.quantization import QuantType, quantize_static
    except ImportError as error:
        raise MissingDependency("the int8 quantiser", _INSTALL) from error
    import onnx

    proto = _load(model)
    signed = flavour == TENSORRT
    # TensorRT accepts neither zero points other than 0 nor quantised biases.
    extra = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False} if signed else {}
    with TemporaryFolder("int8") as folder, _quiet():
        target = Path(folder) / "int8.onnx"
        quantize_static(
            proto,
            str(target),
            _CalibrationReader(calibration, progress),
            per_channel=True,
            activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[*decoding_nodes(proto), *sensitive_nodes(proto)],
            extra_options=extra,
        )
        if not signed:
            return target.read_bytes()
        quantised = onnx.load(str(target))
    return model.packed(_finished_for_tensorrt(quantised))


def _finished_for_tensorrt(quantised: Any) -> Any:
    for number, node in enumerate(quantised.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    return _half_remainder(quantised)


class _CalibrationReader:
    """The calibration images as a CalibrationDataReader of ONNX Runtime's quantiser."""

    def __init__(self, calibration: CalibrationImages, progress: Progress) -> None:
        self._feeds = enumerate(calibration.feeds(), 1)
        self._count = len(calibration)
        self._progress = progress

    def get_next(self) -> dict[str, np.ndarray] | None:
        number, feed = next(self._feeds, (0, None))
        step = f"image {number} of {self._count}" if feed is not None else "computing the ranges"
        self._progress(f"calibrating int8: {step}")
        return feed


class _quiet:
    """Suppresses the quantiser's warnings about its own preprocessing, which it logs at the root logger."""

    def __enter__(self) -> None:
        self._before = logging.root.manager.disable
        logging.disable(logging.WARNING)

    def __exit__(self, *_: object) -> None:
        logging.disable(self._before)
