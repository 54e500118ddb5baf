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

"""Determines which of five layouts a YOLO-style output has, from metadata and graph, and checks it against the shape.

* ``columns`` [B, 4 + C, N] (v8 and later): cx cy w h in pixels of the network's input, then C scores;
* ``rows`` [B, N, 5 + C] (v5, v7): cx cy w h, objectness, C class scores; the score is objectness times class score;
* ``finished`` [B, K, 6] (YOLOv10 and YOLO26, which need no NMS, and exports with NMS): x1 y1 x2 y2 score class;
* ``queries`` [B, Q, 4 + C] (RT-DETR of the Ultralytics exporter): cx cy w h as fractions of the input, then C scores;
* ``ranked`` [B, Q, 6] (RT-DETR since Ultralytics 8.4.x): cx cy w h as fractions, score, class.

The metadata ``edgecam.layout`` overrides the detection.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from edgecam_core.errors import ModelError
from edgecam_core.inference.model_file import ModelFile

LAYOUTS = ("columns", "rows", "finished", "queries", "ranked")
_MAX_ROWS = 1000  # of heads that need no NMS; v5 has at least 25 times as many at any useful size
_PASSTHROUGH = ("Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Pad", "Cast")

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class YoloHead:
    """Layout and number of classes, which is 0 if neither shape nor metadata states it."""

    layout: str
    classes: int


def recognise(model: ModelFile, output: str, names: int) -> YoloHead:
    """The layout of an output [B, ?, ?] and its number of classes.

    Args:
        names: number of class names in the file's metadata, 0 if there are none.

    Raises:
        ModelError: the layout is unknown, or metadata and shape contradict each other.
    """
    shape = model.outputs[output]
    layout = _from_metadata(model, output, names) or _from_shape(model, output, names)
    if not layout:
        raise ModelError(
            f"{model.path} does not specify the layout of its output {output} ({model.describe()}); export it with "
            f"fixed sizes, or add the metadata edgecam.layout, one of {', '.join(LAYOUTS)}"
        )
    extra, axis = {"columns": (4, 1), "rows": (5, 2), "queries": (4, 2)}.get(layout, (0, 2))
    if not extra:
        _require(model, output, layout, shape[2] in (6, None))
        return YoloHead(layout, names or int(model.fact("classes", 0)))
    if layout != "queries":
        _require_decoded(model, output)
    size = shape[axis]
    _require(model, output, layout, size is None or size > extra)
    return YoloHead(layout, size - extra if size is not None else names)


def _from_metadata(model: ModelFile, output: str, names: int) -> str:
    """The layout by ``edgecam.layout`` or the Ultralytics exporter's metadata; empty if they do not determine it."""
    if (layout := model.fact("layout")) is not None:
        if layout not in LAYOUTS:
            raise ModelError(f"{model.path} has edgecam.layout = {layout!r}; it must be one of {', '.join(LAYOUTS)}")
        return str(layout)
    if "task" not in model.metadata:  # not from the Ultralytics exporter
        return ""
    head = model.metadata.get("head", "")  # older versions have only the description
    described = f"{head} {model.metadata.get('description', '')}".lower().replace("-", "")
    if "rtdetr" in described:
        return "ranked" if last_column(model, output) == "class" else "queries"
    if model.metadata.get("end2end") == "True" or _arguments(model).get("nms"):
        return "finished"
    if model.metadata.get("end2end") == "False" and head.endswith("Detect"):
        return "columns"
    if names and (size := model.outputs[output][1]) is not None:
        return "columns" if size == 4 + names else ""
    return {"class": "finished", "score": "columns"}.get(last_column(model, output), "")


def _arguments(model: ModelFile) -> dict[str, Any]:
    """The arguments of the export, which newer versions store."""
    try:
        found = ast.literal_eval(model.metadata.get("args", "{}"))
    except (ValueError, SyntaxError):
        return {}
    return found if isinstance(found, dict) else {}


def _from_shape(model: ModelFile, output: str, names: int) -> str:
    """The layout by shape; empty if both sizes are open."""
    _, rows, columns = model.outputs[output]
    few = rows is not None and rows <= _MAX_ROWS
    if columns == 6 and few:
        two_scores = names == 2 and last_column(model, output) == "score"  # else one score and a class
        return "queries" if two_scores else "finished"
    if few and names and columns == 4 + names:
        return "queries"
    if rows is None and columns is None:
        return ""
    if columns is None or (rows is not None and rows < columns):
        return "columns"
    return "rows"


def _require_decoded(model: ModelFile, output: str) -> None:
    """Raise ModelError if boxes come straight from a convolution: they are grid offsets, not pixels."""
    producers = {name: node for node in model.graph().node for name in node.output}
    node = producers.get(output)
    while node is not None and node.op_type in (*_PASSTHROUGH, "Concat"):
        node = producers.get(node.input[0])  # the first column is a box; any level will do
    if node is not None and node.op_type == "Conv":
        raise ModelError(
            f"the boxes in the output {output} of {model.path} are not decoded: they come straight from the "
            f"convolution {node.name or node.output[0]}; export the model with decoded boxes (YOLOX: "
            "--decode_in_inference)"
        )


def last_column(model: ModelFile, output: str) -> str:
    """What the last column of an output holds: ``class`` if it is cast from integers, ``score`` if it is computed in
    floats, empty if the graph does not end in a concatenation of columns."""
    producers = {name: node for node in model.graph().node for name in node.output}
    node, joined, cast = producers.get(output), False, False
    while node is not None and (node.op_type in _PASSTHROUGH or (node.op_type == "Concat" and not joined)):
        if node.op_type == "Concat":
            joined, cast = True, False
        cast = cast or node.op_type == "Cast"
        node = producers.get(node.input[-1 if node.op_type == "Concat" else 0])
    if not joined:
        return ""
    computed_in_floats = node is None or node.op_type in ("Sigmoid", "Softmax")  # their casts are from FP16
    return "class" if cast and not computed_in_floats else "score"


def _require(model: ModelFile, output: str, layout: str, fits: bool) -> None:
    if not fits:
        shape = "x".join("?" if size is None else str(size) for size in model.outputs[output])
        raise ModelError(
            f"the metadata of {model.path} states the layout '{layout}' for the output {output}, but its shape is "
            f"{shape}; export it again"
        )
