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

"""ONNX graphs in PyTorch: the same outputs as ONNX Runtime, weights that are written back, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from blind_detector import SIDE, blind_detector
from edgecam_core.errors import ModelError
from edgecam_core.models import zoo
from edgecam_training.export.onnx_export import ExportOptions, export
from edgecam_training.models.mobilenet_v2_ssd import MobileNetV2Ssd
from edgecam_training.models.onnx_graph import OnnxGraph
from edgecam_training.models.registry import MODELS, create
from random_ssd import with_statistics
from tiny_models import color_detector

OUTPUTS = ("scores", "boxes")


def outputs_of(model: onnx.ModelProto, images: np.ndarray) -> list[np.ndarray]:
    """ONNX Runtime's, one image after another."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = [session.run(list(OUTPUTS), {session.get_inputs()[0].name: image[None]}) for image in images]
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def noise(side: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (count, 3, side, side)).astype(np.float32)


def assert_same(model: onnx.ModelProto, side: int, limit: float) -> None:
    images = noise(side)
    with torch.no_grad():
        found = OnnxGraph(model, OUTPUTS)(torch.from_numpy(images))
    for mine, theirs in zip(found, outputs_of(model, images), strict=True):
        assert theirs.std() > 0.01  # not the same everywhere
        assert np.abs(mine.numpy() - theirs).max() < limit


def test_the_default_model_computes_the_same(tmp_path: Path) -> None:
    try:
        path = zoo.fetch()
    except zoo.FetchError as error:
        pytest.skip(f"needs the default model: {error}")
    assert_same(onnx.load(str(path)), 300, 1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_an_exported_network_computes_the_same(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if name == "ssd_mobilenet_v1":  # shared with test_export.py
        assert_same(onnx.load(str(request.getfixturevalue("exported"))), 300, 1e-4)
        return
    torch.manual_seed(0)
    network = create(name, ("disc", "square"))
    if isinstance(network, MobileNetV2Ssd):
        network.load_coco({1: 17, 2: 18})  # cat, dog
    export(with_statistics(network), ("disc", "square"), tmp_path / "model.onnx", ExportOptions())
    assert_same(onnx.load(str(tmp_path / "model.onnx")), network.size, 1e-4)


def test_trained_weights_are_written_into_the_same_graph(tmp_path: Path) -> None:
    model = onnx.load(str(blind_detector(tmp_path / "m.onnx")))
    graph = OnnxGraph(model, OUTPUTS)
    images = noise(SIDE)
    before = outputs_of(model, images)
    with torch.no_grad():
        for parameter in graph.parameters():
            parameter += 0.01
        expected = graph(torch.from_numpy(images))
    nodes = [node.SerializeToString() for node in model.graph.node]
    graph.write_to(model)
    assert [node.SerializeToString() for node in model.graph.node] == nodes
    for old, mine, theirs in zip(before, expected, outputs_of(model, images), strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs, rtol=1e-4, atol=1e-5)
        assert np.abs(old - theirs).max() > 0.01
    anchors = {item.name for item in model.graph.initializer if "anchor" in item.name}
    assert not anchors & {name.removeprefix("tensor:") for name, _ in graph.named_parameters()}


def test_an_unknown_operator_is_refused_by_name(tmp_path: Path) -> None:
    model = onnx.load(str(color_detector(tmp_path / "m.onnx")))
    with pytest.raises(ModelError, match=r"the operator AveragePool \(of 'pooled'\) cannot be trained; .*heads"):
        OnnxGraph(model, OUTPUTS)


def test_a_shape_that_the_graph_computes_is_refused(tmp_path: Path) -> None:
    model = onnx.load(str(blind_detector(tmp_path / "m.onnx")))
    reshape = next(node for node in model.graph.node if node.op_type == "Reshape")
    reshape.input[1] = "computed"
    with pytest.raises(ModelError, match=r"Reshape .* computes 'shape' \('computed'\)"):
        OnnxGraph(model, OUTPUTS)
