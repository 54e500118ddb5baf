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

"""Precision written into the ONNX graph: an FP16 cast, or INT8 as QuantizeLinear/DequantizeLinear pairs.

What is explicit in the graph cannot silently come out as something else; every back end reads the same file.
Boxes are always decoded in FP32: what comes after the last convolution is left as it is. INT8 leaves the
convolutions at both ends in floating point too: in FP32 for CPUs, in FP16 for TensorRT.
"""

from __future__ import annotations

import logging
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecam_core.errors import MissingDependency, ModelError
from edgecam_core.inference import artifacts, shipped_int8
from edgecam_core.inference.model_file import ModelFile

if TYPE_CHECKING:
    from edgecam_core.inference.runner import Calibration, Progress, RunnerOptions

log = logging.getLogger(__name__)

# Which INT8 a back end is fast with. CPUs take unsigned activations, TensorRT only symmetric signed ones.
CPU, TENSORRT = "cpu", "tensorrt"
_HEAVY = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_FP16_QDQ = 19  # the first opset whose QuantizeLinear and DequantizeLinear take FP16
_EARLY = 5  # convolutions after the image that INT8 leaves in FP32
_INSTALL = "pip install onnxruntime onnx sympy"


def explicit(model: ModelFile, options: RunnerOptions, flavour: str) -> ModelFile:
    """The model in the requested precision, made once and cached next to the engines.

    FP16 takes a second, INT8 as long as the calibration images take in FP32, a few times over. Without images, the
    ranges in the model's metadata are used, if there are any; that takes a few seconds.

    Raises:
        ModelError: the file has another precision already, or INT8 with neither calibration images nor ranges.
        MissingDependency: the tools are not installed.
    """
    wanted = options.precision
    if wanted in ("auto", model.precision):
        return model
    if model.precision != "fp32":
        raise ModelError(
            f"parameter 'precision' is '{wanted}', but {model.path} is {model.precision} already; use the fp32 model"
        )
    int8 = flavour if wanted == "int8" else ""
    calibration = options.calibration
    shipped = wanted == "int8" and calibration is None and shipped_int8.has_ranges(model)
    facts: dict[str, Any] = {"model_sha256": model.sha256, "precision": wanted, "flavour": int8}
    if shipped:
        facts["ranges"] = "those in the model"  # a file of its own: what was calibrated by the user is not overwritten
    name = "-".join(filter(None, (model.path.stem, wanted, int8, artifacts.tag(facts))))
    artifact = artifacts.Artifact(artifacts.folder(options.cache) / f"{name}.onnx")
    if wanted == "fp16":
        path = artifact.get(facts, lambda: (_fp16(model), {}), **options.artifact_options())
        return _derived(model, path)
    # How it is quantised belongs to the facts: files of an older version are rebuilt.
    facts |= {
        "in_fp32": f"decoding, heads, first {_EARLY}" if flavour == CPU else "decoding; heads and first in fp16",
        "calibration": calibration.fingerprint() if calibration else None,
    }

    def quantise() -> tuple[bytes, dict[str, Any]]:
        if shipped:
            options.progress("quantising to int8")
            return _from_ranges(model, flavour), {}
        images = required(calibration)
        options.progress("calibrating int8")
        return _int8(model, images, flavour, options.progress), {}

    return _derived(model, artifact.get(facts, quantise, **options.artifact_options()))


def required(calibration: Calibration | None) -> Calibration:
    """The calibration images; ModelError with the remedy if there are none."""
    if calibration is None:
        raise ModelError(
            "parameter 'precision' is 'int8', which needs parameter 'calibration': a folder of some hundred "
            "images like those the detector will see"
        )
    return calibration


def _derived(model: ModelFile, path: Path) -> ModelFile:
    """The derived file; names and metadata stay those of the original."""
    return replace(ModelFile.read(path), metadata=model.metadata)


def tail(proto: Any) -> list[str]:
    """Names of the nodes from which no convolution can be reached: the decoding after the network's body."""
    heavy_tensors: set[str] = set()
    names = []
    for node in reversed(proto.graph.node):
        if node.op_type in _HEAVY or any(output in heavy_tensors for output in node.output):
            heavy_tensors.update(node.input)
        else:
            names.append(node.name)
    return names


def delicate(proto: Any) -> list[str]:
    """Convolutions that INT8 costs most accuracy in: the first after the image, and the heads before the decoding.

    Kept in FP32 they cost a tenth of the time; quantised they cost the default model half a point of mAP to nearly two.
    A network that consists of little else is quantised whole.
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


def fp32_tensors(model: ModelFile, with_delicate: bool) -> set[str]:
    """Outputs of the nodes that stay in FP32: the decoding, and with INT8 the delicate convolutions."""
    proto = _load(model)
    names = {*tail(proto), *(delicate(proto) if with_delicate else ())}
    return {output for node in proto.graph.node if node.name in names for output in node.output}


def _load(model: ModelFile) -> Any:
    proto = model.proto()
    for number, node in enumerate(proto.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    return proto


def _fp16(model: ModelFile) -> bytes:
    return model.packed(_cast_to_fp16(_load(model)))


def _cast_to_fp16(proto: Any) -> Any:
    """All but the decoding in FP16; inputs and outputs keep their types."""
    try:
        from onnxruntime.transformers.float16 import convert_float_to_float16
    except ImportError as error:
        raise MissingDependency("the tool that casts to fp16", _INSTALL) from error
    proto = convert_float_to_float16(proto, keep_io_types=True, node_block_list=tail(proto))
    nodes: dict[str, Any] = {}
    for node in proto.graph.node:  # ONNX Runtime 1.30 casts a weight that several nodes use once for each of them
        nodes.setdefault(node.output[0], node)
    kept = list(nodes.values())
    del proto.graph.node[:]
    proto.graph.node.extend(kept)
    return proto


def _half_remainder(proto: Any) -> Any:
    """What Q/DQ pairs leave in floating point, in FP16: a strongly typed network computes in the types of the file.

    Q/DQ pairs take FP16 from opset 19 on. A graph that cannot be brought there stays as it is, its remainder in FP32.
    """
    from onnx import version_converter

    version = max((item.version for item in proto.opset_import if item.domain in ("", "ai.onnx")), default=0)
    try:
        newer = proto if version >= _FP16_QDQ else version_converter.convert_version(proto, _FP16_QDQ)
    except Exception as error:  # of onnx's C++, for operators without an adapter
        log.warning("what int8 leaves out stays fp32: the graph cannot be brought to opset %d (%s)", _FP16_QDQ, error)
        return proto
    return _cast_to_fp16(newer)


def _from_ranges(model: ModelFile, flavour: str) -> bytes:
    proto = _load(model)
    signed = flavour == TENSORRT
    with _quiet():
        try:
            quantised = shipped_int8.quantise(model, proto, set(delicate(proto)) if signed else set(), signed=signed)
        except ImportError as error:
            raise MissingDependency("the tool that quantises to int8", _INSTALL) from error
    return model.packed(_finished_for_tensorrt(quantised) if signed else quantised)


def _int8(model: ModelFile, calibration: Calibration, flavour: str, progress: Progress) -> bytes:
    try:
        from onnxruntime.quantization import QuantType, quantize_static
    except ImportError as error:
        raise MissingDependency("the tool that quantises to int8", _INSTALL) from error
    import onnx

    proto = _load(model)
    signed = flavour == TENSORRT
    # TensorRT refuses zero points other than 0 and quantised biases.
    extra = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False} if signed else {}
    with tempfile.TemporaryDirectory() as folder, _quiet():
        target = Path(folder) / "int8.onnx"
        quantize_static(
            proto,
            str(target),
            _Reader(calibration, progress),
            per_channel=True,
            activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[*tail(proto), *delicate(proto)],
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


class _Reader:
    """The next image for ONNX Runtime's quantiser; None at the end."""

    def __init__(self, calibration: Calibration, progress: Progress) -> None:
        self._feeds = enumerate(calibration.feeds(), 1)
        self._count = len(calibration)
        self._progress = progress

    def get_next(self) -> dict[str, np.ndarray] | None:
        number, feed = next(self._feeds, (0, None))
        ending = f"image {number} of {self._count}" if feed is not None else "computing the ranges"
        self._progress(f"calibrating int8: {ending}")
        return feed


class _quiet:
    """The quantiser logs advice about its own preprocessing step at the root logger."""

    def __enter__(self) -> None:
        self._before = logging.root.manager.disable
        logging.disable(logging.WARNING)

    def __exit__(self, *_: object) -> None:
        logging.disable(self._before)
