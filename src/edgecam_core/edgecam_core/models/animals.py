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

"""The demonstration model ``animals``: the COCO model with class heads trained for seven animals.

Backbone and box heads are those of the COCO model. The 1x1 convolutions of the class heads come from
``animals_heads.npz`` next to this file (float16, 263 kB), trained by ``edgecam train --freeze all-but-classes`` on
composed images; docs/how-to/training.md has the commands, the accuracy and the false alarms. Scores are a softmax.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgecam_core.errors import ModelError
from edgecam_core.inference import shipped_int8
from edgecam_core.models import coco_labels
from edgecam_core.models.tflite.converter import convert as convert_coco

LABELS = ("BACKGROUND", "Zebra", "Rhinoceros", "Whale", "Cattle", "Sheep", "Pig", "Chicken")
HEADS = Path(__file__).with_name("animals_heads.npz")
HEADS_SHA256 = "a42638581f2ac3434fc1ccf40a1f0a25236a78019ba6f5244c9c952fa9b83301"


def convert(tflite: bytes, metadata: dict[str, str]) -> bytes:
    """Convert the COCO model's original ``.tflite`` file to the ONNX file of this model.

    Raises:
        ModelError: the original or the heads are damaged.
    """
    data = HEADS.read_bytes()
    if hashlib.sha256(data).hexdigest() != HEADS_SHA256:
        raise ModelError(f"{HEADS} is damaged: its SHA-256 is not {HEADS_SHA256[:12]}…; install edgecam_core again")
    heads = np.load(io.BytesIO(data))
    facts = {"edgecam.labels": json.dumps(list(LABELS)), "edgecam.unused": "[]", "edgecam.heads_sha256": HEADS_SHA256}
    coco = convert_coco(tflite, labels=coco_labels.LABELS, unused=coco_labels.UNUSED, metadata={**metadata, **facts})
    model = onnx.load_from_string(coco)
    _replace_heads(model.graph, heads)
    _remove_ranges(model, heads)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def _remove_ranges(model: onnx.ModelProto, heads: np.lib.npyio.NpzFile) -> None:
    """Remove the quantisation ranges of the original class heads: they do not apply to the new ones."""
    convolutions = {name.rpartition(".")[0] for name in heads}
    kept = shipped_int8.without({item.key: item.value for item in model.metadata_props}, convolutions)
    for item in model.metadata_props:
        item.value = kept[item.key]


def _replace_heads(graph: onnx.GraphProto, heads: np.lib.npyio.NpzFile) -> None:
    columns = len(LABELS)
    for item in graph.initializer:
        if item.name in heads:
            item.CopyFrom(numpy_helper.from_array(heads[item.name].astype(np.float32), item.name))
        elif item.name == f"rows_of_{len(coco_labels.LABELS)}":
            item.CopyFrom(numpy_helper.from_array(np.array([1, -1, columns], np.int64), item.name))
    for index, node in enumerate(graph.node):
        if node.output[0] == "scores":
            graph.node[index].CopyFrom(helper.make_node("Softmax", ["logits"], ["scores"], name="scores", axis=2))
    scores = next(item for item in graph.output if item.name == "scores")
    scores.type.tensor_type.shape.dim[2].dim_value = columns
