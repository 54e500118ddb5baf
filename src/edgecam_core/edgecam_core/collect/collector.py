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

"""The collector: examines every observation and decides which frames to keep."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edgecam_core.collect.budget import Budget
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.observation import Observation, RuleMatch
from edgecam_core.collect.perceptual_hash import BITS, KeptHashes, perceptual_hash
from edgecam_core.collect.rules import REQUEST, RULES, SECOND, WORTH
from edgecam_core.collect.settings import CollectorSettings
from edgecam_core.collect.storage import ERROR, Storage, StorageJob
from edgecam_core.counters import Counters
from edgecam_core.errors import EdgecamError


class Collector:
    """Decides which observations are kept; :class:`Storage` stores them.

    Call :meth:`examine` from one thread. It blocks for about a millisecond if it hashes the frame, else for
    microseconds. ``counters`` counts frames that were not kept by reason, ``kept`` the kept ones by rule.

    Raises:
        CollectionError, CacheError: the folder cannot be used.
    """

    def __init__(self, settings: CollectorSettings, now: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self.counters = Counters()
        self.model: dict[str, str] = {}
        self._now = now
        self._rules = {name: rule(settings) for name, rule in RULES.items()}
        self._budget = Budget(settings.max_per_hour, settings.max_per_rule)
        self._hashes: dict[str, KeptHashes] = {}
        self._hashed_at: dict[str, float] = {}
        self._duplicates: dict[tuple[str, str], int] = {}  # by camera and rule: stamp of the last hashed duplicate
        self._requests: dict[str, list[Callable[[str], None]]] = {}
        collection = Collection.create(Path(settings.directory))
        frames = list(collection.frames())
        for frame in frames:
            if re.fullmatch("[0-9a-f]{16}", frame.hash):
                self._hashes.setdefault(frame.camera, KeptHashes()).add(int(frame.hash, 16))
        self._storage = Storage(collection, frames, settings, self.counters, now)

    def update(self, settings: CollectorSettings) -> None:
        """Use other settings; only those that may change at run time take effect."""
        self.settings = self._storage.settings = settings
        for rule in self._rules.values():
            rule.settings = settings
        self._budget.max_per_hour, self._budget.max_per_rule = settings.max_per_hour, settings.max_per_rule

    @property
    def collection(self) -> Collection:
        return self._storage.collection

    @property
    def kept(self) -> dict[str, int]:
        return self._storage.kept

    @property
    def problem(self) -> EdgecamError | None:
        """Why nothing can be stored at present; None if it can."""
        return self._storage.problem

    @property
    def frames(self) -> int:
        """Number of kept frames."""
        return self._storage.frames

    @property
    def megabytes(self) -> float:
        """Size of their images."""
        return self._storage.megabytes

    def request(self, camera: str, done: Callable[[str], None]) -> None:
        """Keep the camera's next frame; ``done`` is called with its id, or with a text that starts with 'error: '."""
        self._requests.setdefault(camera, []).append(done)

    def examine(self, observation: Observation) -> None:
        """Decide about one observation. Call it in order of capture, from one thread."""
        for job in self._storage.rejected():
            self._undo(job)
        observation = self._hashed(observation)
        requests = self._requests.pop(observation.camera, [])
        matches = [RuleMatch(REQUEST, float(len(requests)), observation)] if requests else []
        for name in self.settings.rules:
            if (match := self._rules[name].examine(observation)) is not None:
                matches.append(match)
        by_frame: dict[int, list[RuleMatch]] = {}
        for match in matches:  # a rule may find an earlier frame
            by_frame.setdefault(id(match.observation), []).append(match)
        for group in by_frame.values():
            self._decide(group, requests if group[0].rule == REQUEST else [])

    def _hashed(self, observation: Observation) -> Observation:
        """The observation with hash and distance, at the rate ``look_rate``."""
        now = self._now()
        due = now - self._hashed_at.get(observation.camera, float("-inf")) >= 1 / self.settings.look_rate
        if not due and observation.camera not in self._requests:
            return observation
        self._hashed_at[observation.camera] = now
        value = perceptual_hash(observation.frame)
        kept = self._hashes.get(observation.camera)
        return replace(observation, hash=value, distance=kept.distance(value) if kept else BITS)

    def _decide(self, matches: list[RuleMatch], requests: list[Callable[[str], None]]) -> None:
        """Queue the frame of these matches, unless a limit or a similar kept frame forbids it."""
        matches.sort(key=lambda match: WORTH[match.rule], reverse=True)
        best, now = matches[0], self._now()
        value = best.observation.hash
        refusal = self._budget.refusal(best.rule, now)
        if not refusal and best.rule != REQUEST and self.settings.duplicate_distance >= 0:
            if value is None and not self._follows_duplicate(best):
                value = perceptual_hash(best.observation.frame)
            refusal = "near-duplicate" if value is None or self._is_duplicate(best, value) else ""
        if refusal:
            self.counters.add(refusal)
            return

        def answer(text: str) -> None:
            for done in requests:
                done(text)

        job = StorageJob(tuple(matches), dict(self.model), value, answer if requests else None)
        if not self._storage.put(job):
            self.counters.add("the disk is too slow")
            answer(f"{ERROR}the disk is too slow; try again")
            return
        self._budget.spend(best.rule, now)
        if value is not None:
            self._hashes.setdefault(best.observation.camera, KeptHashes()).add(value)

    def _undo(self, job: StorageJob) -> None:
        """A frame could not be stored: free its budget, and do not treat similar frames as duplicates."""
        best = job.matches[0]
        self._budget.refund(best.rule)
        if job.hash is not None and best.observation.camera in self._hashes:
            self._hashes[best.observation.camera].remove(job.hash)

    def _follows_duplicate(self, match: RuleMatch) -> bool:
        """Whether the rule's last frame was a duplicate, less than a period of ``look_rate`` earlier or later.

        Such a frame counts as a duplicate without being hashed: a rule may choose every frame of a scene, and hashing
        them all would cost more than a detector on a small machine can spare.
        """
        last = self._duplicates.get((match.observation.camera, match.rule))
        return last is not None and abs(match.observation.stamp_ns - last) < SECOND / self.settings.look_rate

    def _is_duplicate(self, match: RuleMatch, value: int) -> bool:
        kept = self._hashes.get(match.observation.camera)
        if kept is None or kept.distance(value) > self.settings.duplicate_distance:
            return False
        self._duplicates[match.observation.camera, match.rule] = match.observation.stamp_ns
        return True

    def close(self) -> None:
        """Store the queued frames, write the COCO files, and end the thread. Blocks for the disk."""
        for requests in self._requests.values():
            for done in requests:
                done(f"{ERROR}the collector is closing")
        self._requests.clear()
        self._storage.close()
