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

"""A small SSD whose frozen network does not see colour, and frames in which only the colour tells two labels apart."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.records import REVIEWED, Box, KeptFrame, Review
from onnx import TensorProto, helper, numpy_helper

SIDE, CELL, ANCHOR, FEATURES = 64, 8, 20, 16
KNOWN = ("BACKGROUND", "thing")
COLOURS = {"red": (10, 10, 250), "blue": (250, 10, 10)}  # BGR
SECOND = 1_000_000_000
Objects = list[tuple[str, tuple[float, float, float, float]]]


def blind_detector(path: Path, seed: int = 1) -> Path:
    """Two strided convolutions whose kernels are equal for the three colours, then one level of heads."""
    random = np.random.default_rng(seed)
    grey = np.repeat(random.normal(0, 0.4, (8, 1, 4, 4)), 3, axis=1)
    constants = {
        "first.weight": grey / 2, "first.bias": random.normal(0, 0.1, 8),
        "second.weight": random.normal(0, 0.2, (FEATURES, 8, 4, 4)), "second.bias": np.zeros(FEATURES),
        "third.weight": random.normal(0, 0.1, (FEATURES, FEATURES, 3, 3)), "third.bias": np.zeros(FEATURES),
        "classes.weight": random.normal(0, 0.05, (len(KNOWN), FEATURES, 1, 1)), "classes.bias": np.array([0.0, -3.0]),
        "places.weight": random.normal(0, 0.02, (4, FEATURES, 1, 1)), "places.bias": np.zeros(4),
        "zero": np.array(0.0), "six": np.array(6.0), **_anchors(),
    }  # fmt: skip
    initializers = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()]
    rows = {"rows_of_classes": [1, -1, len(KNOWN)], "rows_of_places": [1, -1, 4], "halves": [2, 2]}
    initializers += [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in rows.items()]
    nodes = []
    before = "input_0"
    for name, kernel, stride, pads in (
        ("first", 4, 4, [0] * 4), ("second", 4, 2, [1, 1, 1, 1]), ("third", 3, 1, [0, 0, 2, 2]),
    ):  # fmt: skip
        nodes.append(
            helper.make_node(
                "Conv",
                [before, f"{name}.weight", f"{name}.bias"],
                [name],
                kernel_shape=[kernel] * 2,
                strides=[stride] * 2,
                pads=pads,
            )
        )
        nodes.append(helper.make_node("Clip", [name, "zero", "six"], [f"{name}/clip"]))
        before = f"{name}/clip"
    for name in ("classes", "places"):
        nodes += [
            helper.make_node("Conv", [before, f"{name}.weight", f"{name}.bias"], [name], kernel_shape=[1, 1]),
            helper.make_node("Transpose", [name], [f"{name}_nhwc"], perm=[0, 2, 3, 1]),
            helper.make_node("Reshape", [f"{name}_nhwc", f"rows_of_{name}"], [f"{name}_rows"]),
            helper.make_node("Concat", [f"{name}_rows"], [f"{name}_joined"], axis=1),
        ]
    nodes += [
        helper.make_node("Sigmoid", ["classes_joined"], ["scores"]),
        helper.make_node("Split", ["places_joined", "halves"], ["shift", "growth"], axis=2),
        helper.make_node("Mul", ["shift", "anchor_size"], ["offset"]),
        helper.make_node("Add", ["offset", "anchor_centre"], ["centre"]),
        helper.make_node("Exp", ["growth"], ["factor"]),
        helper.make_node("Mul", ["factor", "anchor_half"], ["half"]),
        helper.make_node("Sub", ["centre", "half"], ["corner_1"]),
        helper.make_node("Add", ["centre", "half"], ["corner_2"]),
        helper.make_node("Concat", ["corner_1", "corner_2"], ["boxes"], axis=2),
    ]
    count = (SIDE // CELL) ** 2
    graph = helper.make_graph(
        nodes, "blind",
        [helper.make_tensor_value_info("input_0", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, count, len(KNOWN)]),
         helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, count, 4])],
        initializers,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    facts = {
        "edgecam.family": "ssd", "edgecam.mean": json.dumps([127.0] * 3), "edgecam.std": json.dumps([128.0] * 3),
        "edgecam.color": "rgb", "edgecam.labels": json.dumps(KNOWN),
        "edgecam.ranges": json.dumps(
            {"input_0": [-1, 1], "first": [0, 6], "first/clip": [0, 6], "places": [-0.001, 0.001]}
        ),
        "edgecam.steps": json.dumps({"first.weight": 0.01}),
    }  # fmt: skip
    helper.set_model_props(model, facts)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())
    return path


def _anchors() -> dict[str, np.ndarray]:
    """Squares of ANCHOR pixels at the centre of each cell, as fractions, with SSD's variances in ``anchor_size``."""
    places = (np.arange(SIDE // CELL) + 0.5) * CELL / SIDE
    centre = np.stack(np.meshgrid(places, places), axis=-1).reshape(1, -1, 2)
    size = np.full_like(centre, ANCHOR / SIDE)
    return {"anchor_centre": centre, "anchor_size": size * 0.1, "anchor_half": size / 2}


def coloured_frames(folder: Path, count: int, seed: int = 3) -> Collection:
    """A reviewed collection: each frame has one red and one blue square on noise; a minute between frames."""
    random = np.random.default_rng(seed)
    kept = Collection.create(folder)
    for number in range(count):
        pixels, objects = _scene(random)
        name = f"{number:03d}"
        frame = KeptFrame(
            id=name, image=f"images/front/{name}.png", width=SIDE, height=SIDE, stamp_ns=(number + 1) * 60 * SECOND,
            frame_id="lens", camera="front", rules=(), proposals=(),
        )  # fmt: skip
        kept.add(frame, cv2.imencode(".png", pixels)[1].tobytes())
        kept.save_review(Review(name, REVIEWED, tuple(Box(label, box) for label, box in objects), "test"))
    return kept


def _scene(random: np.random.Generator) -> tuple[np.ndarray, Objects]:
    pixels = random.integers(0, 40, (SIDE, SIDE, 3)).astype(np.uint8)
    objects: Objects = []
    for half, label in zip((0, 1), random.permutation(list(COLOURS)), strict=True):
        side = int(random.integers(18, 23))
        cell_x, cell_y = int(random.integers(1, 3)) + 4 * half, int(random.integers(1, 7))
        left, top = (int((cell + 0.5) * CELL - side / 2) for cell in (cell_x, cell_y))
        pixels[top : top + side, left : left + side] = COLOURS[str(label)]
        objects.append((str(label), (left, top, left + side, top + side)))
    return pixels, objects
