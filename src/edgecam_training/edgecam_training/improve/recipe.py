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

"""What decides a learned model: a file with the same recipe is not learned again."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecam_core.errors import EdgecamError
from edgecam_core.inference.model_file import ModelFile

from edgecam_training.improve.field import LabelledImage, fingerprint

_KEY, _LEARNING = "edgecam.made_by", "edgecam.learning"


def of_data(
    parent: ModelFile,
    images: Sequence[LabelledImage],
    split: tuple[Sequence[LabelledImage], Sequence[LabelledImage]],
    seed: int,
) -> dict[str, Any]:
    """The part that can be known before any work is done, also about work on another machine.

    The parts of the split are in it one by one: the same frames split otherwise make another model, and the old one
    may have been trained on frames that are in the test now.
    """
    train, test = split
    return {
        "parent": parent.sha256,
        "data": fingerprint(images),
        "train": fingerprint(train),
        "test": fingerprint(test),
        "seed": seed,
    }


def recipe(data: Mapping[str, Any], replay: Sequence[LabelledImage], learned: Sequence[str]) -> dict[str, Any]:
    """Everything that the learned heads depend on, for the report and for :func:`key`."""
    return {
        **data,
        "replay": fingerprint(replay) if replay else "",
        "learned": list(learned),
        "code": code(),
    }


@functools.cache
def code() -> str:
    """SHA-256 over the modules of this package, as they were at the first call."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def key(made: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()


def metadata(made: Mapping[str, Any], learning: Mapping[str, Any]) -> dict[str, str]:
    """For the model file: what it was made from, and what was found out while learning."""
    return {
        "edgecam.parent_sha256": str(made["parent"]),
        "edgecam.data_sha256": str(made["data"]),
        _KEY: key(made),
        _LEARNING: json.dumps(learning),
    }


def learning(path: Path, made: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was found out while learning this file; None where it is missing, damaged or made from something else."""
    try:
        facts = ModelFile.read(path).metadata
        if facts.get(_KEY) != key(made):
            return None
        found: dict[str, Any] = json.loads(facts[_LEARNING])
    except (EdgecamError, OSError, ValueError, KeyError):
        return None
    return found
