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

"""Gives a model that was exported for one image at a time a dynamic batch size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edgecam_core.errors import ModelError, first_line
from edgecam_core.inference import artifacts
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.onnxruntime_runner import cpu_session
from edgecam_core.inference.runner import RunnerOptions

_TOLERANCE = 1e-3


def dynamic_batch(model: ModelFile, options: RunnerOptions) -> ModelFile:
    """The model with a dynamic batch size, built once and cached with the engines; unchanged if already dynamic.

    The rewritten graph is verified: a batch of two images must give the same results as the original model gives for
    each of them.

    Raises:
        ModelError: the images of a batch influence each other, or the batch size is fixed where it cannot be rewritten.
        CacheError: see :meth:`Artifact.get`.
    """
    if all(shape[0] != 1 for shape in model.inputs.values()):
        return model
    facts = {"model_sha256": model.sha256, "precision": model.precision, "batch": "free"}
    name = f"{model.path.stem}-batch-{artifacts.tag(facts)}.onnx"
    artifact = artifacts.Artifact(artifacts.folder(options.cache) / name)
    path = artifact.get(facts, lambda: (_rewritten(model), {}), **options.artifact_options())
    return replace(ModelFile.read(path), metadata=model.metadata)


def _rewritten(model: ModelFile) -> bytes:
    from onnx import numpy_helper

    proto = model.proto()
    graph = proto.graph
    weights = {item.name for item in graph.initializer}
    shapes = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    for item in graph.initializer:
        if item.name in shapes:
            sizes = numpy_helper.to_array(item).copy()
            if len(sizes) and sizes[0] == 1:
                sizes[0] = 0  # in a Reshape: copied from the input
                item.CopyFrom(numpy_helper.from_array(sizes, item.name))
    for tensor in [*graph.output, *(item for item in graph.input if item.name not in weights)]:
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
    del graph.value_info[:]  # contains the old sizes
    data = model.packed(proto)
    _compare(model, data)
    return data


def _compare(model: ModelFile, data: bytes) -> None:
    original, rewritten = _session(str(model.path), model), _session(data, model)
    random = np.random.default_rng(0)
    # In -1..1, as normalised images are.
    feeds = {item.name: random.random((2, *item.shape[1:]), np.float32) * 2 - 1 for item in original.get_inputs()}
    try:
        batch = rewritten.run(None, feeds)
    except Exception as error:  # ONNX Runtime's exception types are not public
        raise ModelError(_message(model, first_line(error))) from error
    if any(len(output) != 2 for output in batch):
        raise ModelError(_message(model, "an output holds one image for any batch size"))
    for index in range(2):
        single = original.run(None, {name: feed[index : index + 1] for name, feed in feeds.items()})
        for one, both in zip(single, batch, strict=True):
            if not np.allclose(one[0], both[index], atol=_TOLERANCE):
                raise ModelError(_message(model, "the images of a batch influence each other"))


def _session(source: str | bytes, model: ModelFile) -> Any:
    """A CPU session of a model: ``source`` is its path (weights may be in other files) or its bytes."""
    try:
        return cpu_session(source)
    except Exception as error:  # ONNX Runtime's exception types are not public
        raise ModelError(_message(model, first_line(error))) from error


def _message(model: ModelFile, reason: str) -> str:
    remedy = "set max_batch to 1, or export it with a dynamic batch size"
    return f"the batch size of {model.path} cannot be made dynamic: {reason}; {remedy}"
