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

"""The recipe: everything that determines a trained model. A file with the same recipe is not trained again."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from edgecam_core.errors import EdgecamError
from edgecam_core.inference.model_file import ModelFile

from edgecam_core import cache
from edgecam_training.improve.field import LabelledImage, fingerprint

_KEY, _LEARNING, _REPORT = "edgecam.made_by", "edgecam.learning", "edgecam.report"


def of_data(
    parent: ModelFile,
    images: Sequence[LabelledImage],
    split: tuple[Sequence[LabelledImage], Sequence[LabelledImage]],
    seed: int,
) -> dict[str, Any]:
    """The part of the recipe that is known before training, also for training on another machine.

    Training and test set are included separately: with another split, an existing model may have been trained
    on frames that are now in the test set.
    """
    train, test = split
    return {
        "parent": parent.sha256,
        "data": fingerprint(images),
        "train": fingerprint(train),
        "test": fingerprint(test),
        "seed": seed,
    }


def recipe(
    data: Mapping[str, Any], replay: Sequence[LabelledImage], learned: Sequence[str], trained: str
) -> dict[str, Any]:
    """Everything that determines the trained weights, for the report and for :func:`key`.

    ``trained`` is ``heads`` or ``all``, see :class:`edgecam_training.improve.choice.TrainingScope`.
    """
    return {
        **data,
        "replay": fingerprint(replay) if replay else "",
        "learned": list(learned),
        "trained": trained,
        "code": code(),
    }


@functools.cache
def code() -> str:
    """SHA-256 over the modules that training consists of, at the first call."""
    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    for path in sorted(path for name in ("improve", "models", "train") for path in (package / name).glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def key(inputs: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def metadata(inputs: Mapping[str, Any], learning: Mapping[str, Any]) -> dict[str, str]:
    """Metadata for the model file: its recipe, and facts about the training."""
    return {
        "edgecam.parent_sha256": str(inputs["parent"]),
        "edgecam.data_sha256": str(inputs["data"]),
        _KEY: key(inputs),
        _LEARNING: json.dumps(learning),
    }


def attach_report(path: Path, facts: Mapping[str, Any]) -> None:
    """Add what the report says about the model to the metadata of its file, as JSON under ``edgecam.report``.

    Times and machine are left out: the same recipe gives the same file.

    Raises:
        CacheError: the file cannot be written.
    """
    kept = {name: facts[name] for name in ("made", "settings", "labels", "field", "old_set", "verdict")}
    text = json.dumps(plain(kept), ensure_ascii=False, allow_nan=False)
    if ModelFile.read(path).metadata.get(_REPORT) != text:
        cache.write(path, with_metadata(path.read_bytes(), {_REPORT: text}))


def with_metadata(model: bytes, facts: Mapping[str, str]) -> bytes:
    """An ONNX file with these entries in its metadata, in addition to its own."""
    import onnx

    proto = onnx.load_from_string(model)
    onnx.helper.set_model_props(proto, {item.key: item.value for item in proto.metadata_props} | dict(facts))
    return bytes(proto.SerializeToString(deterministic=True))


def plain(value: Any) -> Any:
    """The value for JSON: numbers with six decimals, null for NaN and infinity."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return round(float(value), 6) if np.isfinite(value) else None
    return value


def learning(path: Path, inputs: Mapping[str, Any]) -> dict[str, Any] | None:
    """The facts about the training in a model file; None if the file is missing, damaged, or has another recipe."""
    try:
        facts = ModelFile.read(path).metadata
        if facts.get(_KEY) != key(inputs):
            return None
        found: dict[str, Any] = json.loads(facts[_LEARNING])
    except (EdgecamError, OSError, ValueError, KeyError):
        return None
    return found
