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

"""Checkpoints: written atomically, loaded without executing code from them."""

from __future__ import annotations

import io
import pickle
import zipfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from edgecam_core.errors import first_line
from edgecam_core.models.labels import starts_with_background

from edgecam_core import cache
from edgecam_training.data.text_files import read_lines
from edgecam_training.errors import CheckpointError
from edgecam_training.models.base import SsdModel
from edgecam_training.models.registry import MODELS, create

FORMAT = 1


def save(path: Path, content: dict[str, Any], *more: Path) -> None:
    """Write atomically to all paths; a kill or a full disk leaves the previous files unchanged.

    Raises:
        CacheError: the disk is full, or the folder cannot be written.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **content}, buffer)
    for target in (path, *more):
        target.parent.mkdir(parents=True, exist_ok=True)
        cache.write(target, buffer.getvalue())


class Saver:
    """Saves in its own thread while training continues. Call it from one thread; the next call raises an error."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "saver")
        self._running: Future[None] | None = None

    def save(self, content: dict[str, Any], *paths: Path) -> None:
        """Start saving a copy; blocks until the previous save has ended."""
        self.wait()
        self._running = self._pool.submit(save, paths[0], _on_cpu(content), *paths[1:])

    def wait(self) -> None:
        """Block until everything is on disk. Raises as :func:`save`."""
        if self._running is not None:
            running, self._running = self._running, None
            running.result()

    def close(self) -> None:
        self._pool.shutdown()


def _on_cpu(value: Any) -> Any:
    """A copy of nested dictionaries and lists that later steps do not change."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: _on_cpu(item) for key, item in value.items()}
    return [_on_cpu(item) for item in value] if isinstance(value, list) else value


def read(path: str | Path) -> dict[str, Any]:
    """Load any checkpoint onto the CPU, tensors and plain values only.

    Raises:
        CheckpointError: no such file, damaged, or loading would run code (an untrusted pickle).
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise CheckpointError(f"checkpoint '{path}': there is no such file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not zipfile.is_zipfile(path) and path.stat().st_size < 16:
            raise CheckpointError(f"checkpoint '{path}' is damaged or truncated") from error
        raise CheckpointError(
            f"checkpoint '{path}' is refused: it is damaged, or it holds more than tensors and plain values and would "
            "run code when loaded. Ask its author for a state dict (torch.save(model.state_dict(), path))"
        ) from error
    except (RuntimeError, OSError, EOFError, KeyError, ValueError) as error:
        raise CheckpointError(f"checkpoint '{path}' is damaged or truncated: {first_line(error)}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"checkpoint '{path}' holds a {type(content).__name__}, not a dictionary of tensors")
    return content


def open_model(path: str | Path) -> tuple[SsdModel, tuple[str, ...]]:
    """The network and class list of a checkpoint, in eval mode, with averaged weights if the checkpoint has them.

    A bare state dict with pytorch-ssd's names is recognised, too; its classes come from ``labels.txt`` next to it.

    Raises:
        CheckpointError: an unknown network, or labels that do not match.
    """
    path = Path(path).expanduser()
    content = read(path)
    if content.get("format") == FORMAT and content.get("model") in MODELS:
        classes = tuple(content["classes"])
        model = create(content["model"], classes)
        model.load_state_dict(content.get("ema") or content["state"])
        return model.eval(), classes
    state = content.get("state_dict", content)
    columns = _pytorch_ssd_columns(path, state)
    classes = _labels_beside(path, columns)
    model = create("ssd_mobilenet_v1", classes)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"checkpoint '{path}' is not an SSD-MobileNetV1: {str(error)[:300]}") from error
    return model.eval(), classes


def _pytorch_ssd_columns(path: Path, state: dict[str, Any]) -> int:
    bias = state.get("classification_headers.0.bias")
    if bias is None or "base_net.0.0.weight" not in state:
        raise CheckpointError(
            f"checkpoint '{path}' is of an unknown network; known are {', '.join(MODELS)} as saved by edgecam train, "
            "and state dicts of pytorch-ssd's mb1-ssd"
        )
    return len(bias) // 6


def _labels_beside(path: Path, columns: int) -> tuple[str, ...]:
    file = path.with_name("labels.txt")
    if not file.is_file():
        return tuple(f"class {index}" for index in range(1, columns))
    lines = tuple(read_lines(file))
    classes = lines[starts_with_background(lines) :]
    if len(classes) != columns - 1:
        raise CheckpointError(f"{file} names {len(classes)} classes, but '{path}' has {columns - 1}")
    return classes
