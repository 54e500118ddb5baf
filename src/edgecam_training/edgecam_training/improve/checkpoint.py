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

"""Stores the trained heads of each stage and the state of a whole network's training, so that an interrupted run
continues there."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np

from edgecam_core import cache
from edgecam_training.improve.learn import Learned


class Checkpoints:
    """One file per stage in the output folder; read only by a run with the same recipe ``key``.

    ``network`` is the file for the training of a whole network.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder
        self._key = key
        self.network = folder / f".network-{key[:16]}.pt"

    def _path(self, stage: str) -> Path:
        return self._folder / f".heads-{self._key[:16]}-{stage.replace(' ', '-')}.npz"

    def read(self, stage: str) -> Learned | None:
        """The heads of a stage; None if the stage is not finished or its file is damaged."""
        try:
            with np.load(self._path(stage), allow_pickle=False) as data:
                facts = json.loads(str(data["facts"]))
                levels = range(facts["levels"])
                weights, biases = (tuple(data[f"{name}{level}"] for level in levels) for name in ("weight", "bias"))
                return Learned(tuple(facts["labels"]), weights, biases, facts["alike"], facts["positives"])
        except Exception:  # zipfile, zlib, NumPy and JSON each raise their own types for a damaged file
            return None

    def write(self, stage: str, learned: Learned) -> None:
        """Store the heads of a stage. Raises CacheError if the folder cannot be written."""
        facts = {
            "labels": learned.labels,
            "levels": len(learned.weights),
            "alike": learned.alike,
            "positives": learned.positives,
        }
        arrays = {"facts": np.array(json.dumps(facts))}
        for level, (weight, bias) in enumerate(zip(learned.weights, learned.biases, strict=True)):
            arrays[f"weight{level}"], arrays[f"bias{level}"] = weight, bias
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        cache.write(self._path(stage), buffer.getvalue())

    def clear(self) -> None:
        """Remove the files of this run and of earlier ones."""
        for pattern in (".heads-*.npz", ".network-*.pt"):
            for path in self._folder.glob(pattern):
                with contextlib.suppress(OSError):
                    path.unlink()
