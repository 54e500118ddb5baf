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

"""External data of an ONNX model: lists the files that hold its weights and checks them.

A model above 2 GB must keep its weights in other files, and many exporters always do. The model names them relative to
its own folder (onnx/docs/ExternalData.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from edgecam_core.errors import ModelError

_EXTERNAL = 1  # onnx.TensorProto.EXTERNAL


def external_files(proto: Any, path: Path) -> tuple[Path, ...]:
    """The data files a model refers to, without duplicates, sorted by name; empty if it has no external data.

    Args:
        proto: the ModelProto, read without external data.
        path: the model's own path.

    Raises:
        ModelError: a file is missing, shorter than the model requires, or outside the model's folder.
    """
    needed: dict[str, int] = {}
    for tensor in _tensors_of_model(proto):
        if tensor.data_location == _EXTERNAL:
            entries = {item.key: item.value for item in tensor.external_data}
            location = entries.get("location", "")
            end = _number(entries.get("offset")) + _number(entries.get("length"))
            needed[location] = max(needed.get(location, 0), end)
    return tuple(_checked(location, needed[location], path) for location in sorted(needed))


def _checked(location: str, size: int, path: Path) -> Path:
    pure = PurePosixPath(location.replace("\\", "/"))
    data = path.parent / pure
    # Caches of model hubs are symbolic links into one folder of blobs.
    folders = (path.parent.resolve(), path.resolve().parent)
    escapes = not location or pure.is_absolute() or ".." in pure.parts
    if escapes or not any(data.resolve().is_relative_to(folder) for folder in folders):
        raise ModelError(
            f"{path} keeps weights in {location!r}, outside its own folder, and such files are not read; export it "
            "again, or save it with its weights inside (onnx.save_model without external data)"
        )
    if not data.is_file():
        raise ModelError(f"{path} keeps weights in {data}, which is missing; copy that file next to the model")
    if data.stat().st_size < size:
        actual = data.stat().st_size
        raise ModelError(
            f"{path} needs {size} bytes of weights in {data}, which has {actual}: the file is truncated or belongs to "
            "another model; copy both files again"
        )
    return data


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


def _tensors_of_model(proto: Any) -> Iterator[Any]:
    yield from _tensors_of_graph(proto.graph)
    for function in proto.functions:
        yield from _tensors_of_nodes(function.node)


def _tensors_of_graph(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _tensors_of_nodes(graph.node)


def _tensors_of_nodes(nodes: Iterable[Any]) -> Iterator[Any]:
    for node in nodes:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            for graph in (attribute.g, *attribute.graphs):
                yield from _tensors_of_graph(graph)
