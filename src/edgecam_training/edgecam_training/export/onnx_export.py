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

"""Writes a checkpoint as an ONNX file with metadata, after comparing it with PyTorch."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from edgecam_core.inference.onnxruntime_runner import cpu_session
from edgecam_core.models.preprocess import InputSpec, Preprocessor
from edgecam_core.types import Frame
from onnx import helper

from edgecam_core import cache
from edgecam_training.errors import ExportError
from edgecam_training.export.export_graph import ExportGraph
from edgecam_training.export.opset import lowered
from edgecam_training.export.suppress import greedy
from edgecam_training.models.base import SsdModel

_NATIVE_OPSET = 18  # opset of PyTorch's exporter without a conversion
# Largest differences from PyTorch: of scores, and of box corners as fractions of the image.
TOLERANCE = {"fp32": (1e-4, 1e-4), "fp16": (2e-2, 2e-2)}


@dataclass(frozen=True)
class ExportOptions:
    """How to export. ``batch`` 0: dynamic batch size. ``nms``: IoU threshold of NMS in the graph, 0: no NMS. ``raw``:
    logits and offsets instead of scores and boxes."""

    precision: str = "fp32"
    batch: int = 1
    uint8: bool = False
    raw: bool = False
    nms: float = 0.0

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names, in order. The last two are compared with PyTorch; with ``nms`` they are not in the file."""
        heads = ("logits", "offsets") if self.raw else ("scores", "boxes")
        return ("num_dets", "det_boxes", "det_scores", "det_classes", *heads) if self.nms else heads


@dataclass(frozen=True)
class Parity:
    """Largest absolute differences between ONNX Runtime and PyTorch FP32."""

    scores: float
    boxes: float
    images: int


def export(
    model: SsdModel, classes: Sequence[str], path: Path, options: ExportOptions, images: Sequence[np.ndarray] = ()
) -> Parity:
    """Write an ONNX file after comparing it with PyTorch. Needs no GPU; takes seconds.

    Args:
        images: (H, W, 3) uint8 BGR for the comparison; if empty, noise is used.

    Raises:
        ExportError: the results differ from PyTorch's; no file is written.
    """
    data = _annotated(_exported(model, options), model, classes, options)
    parity = compare(model, data, options, images)
    if not options.raw:
        most_scores, most_boxes = TOLERANCE[options.precision]
        if not (parity.scores <= most_scores and parity.boxes <= most_boxes):
            raise ExportError(
                f"{path.name} differs from PyTorch by {parity.scores:.2g} in scores and {parity.boxes:.2g} in boxes; "
                f"{most_scores:g} and {most_boxes:g} are allowed for {options.precision}"
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    cache.write(path, _finished(data) if options.nms else data)
    return parity


def _finished(data: bytes) -> bytes:
    """Remove the two outputs that were only for the comparison."""
    proto = onnx.load_from_string(data)
    del proto.graph.output[-2:]
    return proto.SerializeToString(deterministic=True)


def _exported(model: SsdModel, options: ExportOptions) -> onnx.ModelProto:
    graph = ExportGraph(
        copy.deepcopy(model).cpu(),
        half=options.precision == "fp16",
        uint8=options.uint8,
        raw=options.raw,
        nms=options.nms,
    ).eval()
    example = torch.zeros(
        options.batch or 2, 3, model.size, model.size, dtype=torch.uint8 if options.uint8 else torch.float32
    )
    free = {0: torch.export.Dim("batch", min=1, max=256)}
    shapes = None if options.batch else {"images": free}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph, (example,), input_names=["input_0"], output_names=list(options.outputs), opset_version=_NATIVE_OPSET,
            dynamo=True, verbose=False, dynamic_shapes=shapes,
        )  # fmt: skip
    assert program is not None
    return lowered(program.model_proto)


def _annotated(proto: onnx.ModelProto, model: SsdModel, classes: Sequence[str], options: ExportOptions) -> bytes:
    """Add edgecam's metadata; remove file names and stack traces of the exporting machine."""
    for node in proto.graph.node:
        node.ClearField("doc_string")
        del node.metadata_props[:]
    for value in (*proto.graph.value_info, *proto.graph.input, *proto.graph.output, *proto.graph.initializer):
        del value.metadata_props[:]
    del proto.graph.metadata_props[:]
    how = model.normalisation
    mean, std = (how.mean, how.std) if not options.uint8 else ((0.0,) * 3, (1.0,) * 3)
    labels = list(classes) if options.nms else ["BACKGROUND", *classes]
    facts = {
        "edgecam.family": "final" if options.nms else "ssd", "edgecam.color": "rgb", "edgecam.fit": "stretch",
        "edgecam.mean": json.dumps(list(mean)), "edgecam.std": json.dumps(list(std)),
        "edgecam.labels": json.dumps(labels, ensure_ascii=False),
        "edgecam.model": model.name, "edgecam.precision": options.precision,
        "edgecam.weights_sha256": weights_digest(model),
    }  # fmt: skip
    helper.set_model_props(proto, facts)
    proto.producer_name, proto.producer_version = "edgecam", ""
    onnx.checker.check_model(proto)
    return proto.SerializeToString(deterministic=True)


def weights_digest(model: SsdModel) -> str:
    """SHA-256 over names and values of all weights: identifies the trained network."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.cpu().numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def compare(model: SsdModel, data: bytes, options: ExportOptions, images: Sequence[np.ndarray]) -> Parity:
    """Run both on the same images, one by one (in pairs if the batch size is dynamic)."""
    session = cpu_session(data)
    reference = ExportGraph(copy.deepcopy(model).cpu().float(), uint8=options.uint8, raw=options.raw).eval()
    worst = [0.0, 0.0]
    feeds = inputs(model, images, options)
    for feed in feeds:
        batch = np.repeat(feed, options.batch or 2, axis=0)
        *detections, scores, boxes = session.run(None, {"input_0": batch})
        if options.nms:
            _check_suppression(detections, scores, boxes, options.nms, model.size)
        got = scores, boxes
        for place, (mine, theirs) in enumerate(zip(reference(torch.from_numpy(batch)), got, strict=True)):
            worst[place] = max(worst[place], float(np.abs(mine.numpy() - theirs).max()))
    return Parity(worst[0], worst[1], len(feeds))


def _check_suppression(
    detections: Sequence[np.ndarray], scores: np.ndarray, boxes: np.ndarray, threshold: float, size: int
) -> None:
    """Raise ExportError if the graph's detections differ from greedy NMS of its own scores and boxes."""
    for row, (count, *found) in enumerate(zip(*detections, strict=True)):
        expected = greedy(scores[row], boxes[row], threshold, size)
        kept = int(count[0])
        same = kept == len(expected[1]) and all(
            np.allclose(mine[:kept], theirs, atol=1e-3) for mine, theirs in zip(found, expected, strict=True)
        )
        if not same:
            raise ExportError(f"NMS in the graph keeps {kept} boxes, the reference keeps others ({len(expected[1])})")


def inputs(model: SsdModel, images: Sequence[np.ndarray], options: ExportOptions) -> list[np.ndarray]:
    """Images as network inputs: (1, 3, S, S) each."""
    if not images:
        chance = np.random.default_rng(0)
        images = [chance.integers(0, 256, (model.size, model.size, 3), np.uint8) for _ in range(2)]
    how = model.normalisation
    mean, std = ((0.0,) * 3, (1.0,) * 3) if options.uint8 else (how.mean, how.std)
    preprocessor = Preprocessor(InputSpec("input_0", model.size, model.size, mean, std, "rgb"))
    tensors = [preprocessor.prepare(Frame.from_array(image, "bgr8"))[0] for image in images]
    return [tensor.astype(np.uint8 if options.uint8 else np.float32, copy=False) for tensor in tensors]
