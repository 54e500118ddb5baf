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

"""The collector: examines every observation, decides, and stores in a separate thread."""

from __future__ import annotations

import hashlib
import queue
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2

from edgecam_core.cache import CacheError
from edgecam_core.collect import coco
from edgecam_core.collect.budget import MEGABYTE, Budget, least_valuable
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.observation import Finding, Observation
from edgecam_core.collect.perceptual_hash import BITS, KeptHashes, perceptual_hash
from edgecam_core.collect.privacy import blurred
from edgecam_core.collect.records import Box, CollectionError, KeptFrame
from edgecam_core.collect.rules import REQUEST, RULES, WORTH
from edgecam_core.collect.settings import CollectorSettings
from edgecam_core.counters import Counters
from edgecam_core.errors import EdgecamError
from edgecam_core.files import free_bytes

_WAITING = 8  # frames that wait for the disk; more are dropped and counted
_COCO_PERIOD = 60.0  # seconds between two versions of the COCO files
_HOUSEKEEPING = 300.0  # seconds between two looks at retention
_ERROR = "error: "
DAY_NS = 86_400 * 10**9


@dataclass(frozen=True)
class _Job:
    findings: tuple[Finding, ...]
    model: dict[str, str]
    hash: int | None  # as remembered among those of kept frames
    done: Callable[[str], None] | None


class Collector:
    """Decides which observations are kept and stores them.

    :meth:`look` belongs to one thread and blocks a millisecond where it hashes the frame, else microseconds;
    a second thread encodes and writes. ``counters`` counts frames that were
    not kept by reason, ``kept`` those that were by rule. ``problem`` is why nothing can be stored at present.

    Raises:
        CollectionError, CacheError: the folder cannot be used.
    """

    def __init__(self, settings: CollectorSettings, now: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self.counters = Counters()
        self.kept: dict[str, int] = {}
        self.problem: EdgecamError | None = None
        self.collection = Collection.create(Path(settings.directory))
        self.model: dict[str, str] = {}
        self._now = now
        self._rules = {name: rule(settings) for name, rule in RULES.items()}
        self._budget = Budget(settings.max_per_hour, settings.max_per_rule)
        self._hashes: dict[str, KeptHashes] = {}
        self._hashed_at: dict[str, float] = {}
        self._requests: dict[str, list[Callable[[str], None]]] = {}
        self._not_kept: deque[_Job] = deque()  # jobs that could not be stored, for the thread that looks
        self._sizes: dict[str, tuple[float, int, int]] = {}  # id -> value, bytes, kept_ns
        self._restore()
        self._jobs: queue.Queue[_Job | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._store_all, name="collector", daemon=True)
        self._thread.start()

    def _restore(self) -> None:
        for frame in self.collection.frames():
            self._sizes[frame.id] = (frame.value, frame.bytes, frame.kept_ns)
            if re.fullmatch("[0-9a-f]{16}", frame.hash):
                self._hashes.setdefault(frame.camera, KeptHashes()).add(int(frame.hash, 16))

    def update(self, settings: CollectorSettings) -> None:
        """Take over settings that may change at run time."""
        self.settings = settings
        for rule in self._rules.values():
            rule.settings = settings
        self._budget.max_per_hour, self._budget.max_per_rule = settings.max_per_hour, settings.max_per_rule

    @property
    def frames(self) -> int:
        return len(self._sizes)

    @property
    def megabytes(self) -> float:
        return sum(size for _, size, _ in list(self._sizes.values())) / MEGABYTE

    def request(self, camera: str, done: Callable[[str], None]) -> None:
        """Keep the camera's next frame; ``done`` is called with its id, or with 'error: ...' ."""
        self._requests.setdefault(camera, []).append(done)

    def look(self, seen: Observation) -> None:
        """Decide about one observation. Call in order of capture, from one thread."""
        while self._not_kept:
            self._undo(self._not_kept.popleft())
        seen = self._hashed(seen)
        waiting = self._requests.pop(seen.camera, [])
        findings = [Finding(REQUEST, float(len(waiting)), seen)] if waiting else []
        for name in self.settings.rules:
            if (finding := self._rules[name].look(seen)) is not None:
                findings.append(finding)
        for observation in dict.fromkeys(id(one.observation) for one in findings):
            of_frame = [one for one in findings if id(one.observation) == observation]
            self._decide(of_frame, waiting if of_frame[0].rule == REQUEST else [])

    def _hashed(self, seen: Observation) -> Observation:
        now = self._now()
        due = now - self._hashed_at.get(seen.camera, float("-inf")) >= 1 / self.settings.look_rate
        if not due and seen.camera not in self._requests:
            return seen
        self._hashed_at[seen.camera] = now
        value = perceptual_hash(seen.frame)
        kept = self._hashes.get(seen.camera)
        return replace(seen, hash=value, distance=kept.distance(value) if kept else BITS)

    def _decide(self, findings: list[Finding], waiting: list[Callable[[str], None]]) -> None:
        findings.sort(key=lambda one: WORTH[one.rule], reverse=True)
        best, now = findings[0], self._now()
        value = best.observation.hash
        refusal = self._budget.refusal(best.rule, now)
        if not refusal and best.rule != REQUEST and self.settings.duplicate_distance >= 0:
            value = perceptual_hash(best.observation.frame) if value is None else value
            refusal = self._duplicate(best.observation.camera, value)
        if refusal:
            self.counters.add(refusal)
            return

        def answer(text: str) -> None:
            for done in waiting:
                done(text)

        try:
            self._jobs.put_nowait(_Job(tuple(findings), dict(self.model), value, answer if waiting else None))
        except queue.Full:
            self.counters.add("the disk is too slow")
            answer("error: the disk is too slow; try again")
            return
        self._budget.spend(best.rule, now)
        if value is not None:
            self._hashes.setdefault(best.observation.camera, KeptHashes()).add(value)

    def _undo(self, job: _Job) -> None:
        """A frame could not be stored: it counts for no limit, and what looks like it is no duplicate."""
        best = job.findings[0]
        self._budget.refund(best.rule)
        if job.hash is not None and best.observation.camera in self._hashes:
            self._hashes[best.observation.camera].remove(job.hash)

    def _duplicate(self, camera: str, value: int) -> str:
        """Whether a frame of this hash looks like a kept one."""
        kept = self._hashes.get(camera)
        duplicate = kept is not None and kept.distance(value) <= self.settings.duplicate_distance
        return "near-duplicate" if duplicate else ""

    # In the collector's own thread.

    def _store_all(self) -> None:
        written, cleaned = self._now(), float("-inf")
        stale = False
        while True:
            try:
                job = self._jobs.get(timeout=_COCO_PERIOD)
                if job is None:
                    break
                stale = True
                self._store(job)
            except queue.Empty:
                pass
            now = self._now()
            if stale and now - written >= _COCO_PERIOD:
                stale, written = not self._try(lambda: coco.write(self.collection)), now
            if now - cleaned >= _HOUSEKEEPING:
                self._try(self._retain)
                cleaned = now
        if stale:
            self._try(lambda: coco.write(self.collection))

    def _try(self, work: Callable[[], object]) -> bool:
        try:
            work()
        except (EdgecamError, OSError, cv2.error) as error:
            self.problem = error if isinstance(error, EdgecamError) else CollectionError(str(error))
            self.counters.add("could not be stored")
            return False
        return True

    def _store(self, job: _Job) -> None:
        outcome: list[str] = []
        stored = self._try(lambda: outcome.append(self._keep(job)))
        if stored:
            self.problem = None
        if not stored or outcome[0].startswith(_ERROR):
            self._not_kept.append(job)
        if job.done is not None:
            job.done(outcome[0] if stored else f"{_ERROR}{self.problem}")

    def _keep(self, job: _Job) -> str:
        best = job.findings[0]
        seen, frame = best.observation, best.observation.frame
        free = free_bytes(self.collection.root) / MEGABYTE
        if free < self.settings.min_free_megabytes:
            raise CacheError(
                f"{free:.0f} MB are free on the disk of {self.collection.root}, fewer than min_free_megabytes "
                f"({self.settings.min_free_megabytes:.0f}); free some space or lower it"
            )
        data, suffix = self._encode(seen)
        value = WORTH[best.rule] + sum(WORTH[one.rule] for one in job.findings[1:]) / 10
        if not self._make_room(len(data), value):
            self.counters.add("over max_megabytes, and everything kept is worth more")
            return f"{_ERROR}the collection is full (max_megabytes)"
        camera = re.sub(r"[^A-Za-z0-9_-]+", "_", seen.camera).strip("_") or "camera"
        name = f"{frame.stamp_ns:020d}-{camera[:60]}-{hashlib.sha256(data).hexdigest()[:8]}"
        kept = self.collection.add(
            KeptFrame(
                id=name,
                image=f"images/{camera[:60]}/{name}{suffix}",
                width=frame.width,
                height=frame.height,
                stamp_ns=frame.stamp_ns,
                frame_id=frame.frame_id,
                camera=seen.camera,
                rules=tuple({"rule": one.rule, "value": round(one.value, 4)} for one in job.findings),
                proposals=tuple(self._proposals(seen)),
                model=job.model,
                hash=f"{perceptual_hash(frame) if seen.hash is None else seen.hash:016x}",
                value=round(value, 4),
                kept_ns=time.time_ns(),
            ),
            data,
        )
        self._sizes[kept.id] = (kept.value, kept.bytes, kept.kept_ns)
        for one in job.findings:
            self.kept[one.rule] = self.kept.get(one.rule, 0) + 1
        return kept.id

    def _encode(self, seen: Observation) -> tuple[bytes, str]:
        if self.settings.image_format == "source" and seen.encoded is not None:
            return seen.encoded, ".png" if seen.encoded.startswith(b"\x89PNG") else ".jpg"
        pixels = seen.frame.bgr()
        if self.settings.blur:
            pixels = blurred(pixels, seen.detections, self.settings.blur)
        suffix = ".png" if self.settings.image_format == "png" else ".jpg"
        options = [cv2.IMWRITE_JPEG_QUALITY, self.settings.jpeg_quality] if suffix == ".jpg" else []
        _, data = cv2.imencode(suffix, pixels, options)
        return data.tobytes(), suffix

    def _proposals(self, seen: Observation) -> list[Box]:
        size = (seen.frame.width, seen.frame.height)
        boxes = []
        for one in seen.detections:
            try:
                row = {"label": one.label, "box": one.box, "score": one.score, "track_id": one.track_id}
                boxes.append(Box.parse(row, size))
            except CollectionError:
                self.counters.add("proposal outside the image")
        return boxes

    def _make_room(self, size: int, value: float) -> bool:
        """Delete what is worth less until ``size`` bytes fit; False where that does not suffice."""
        excess = int(sum(one for _, one, _ in self._sizes.values()) + size - self.settings.max_megabytes * MEGABYTE)
        if excess <= 0:
            return True
        may_go = [
            (worth, bytes_, name)
            for name, (worth, bytes_, _) in self._sizes.items()
            if worth <= value and not self.collection.is_reviewed(name)
        ]
        if sum(one for _, one, _ in may_go) < excess:
            return False
        for name in least_valuable(may_go, excess):
            self._forget(name, "deleted to make room")
        return True

    def _retain(self) -> None:
        if self.settings.retention_days <= 0:
            return
        oldest = time.time_ns() - round(self.settings.retention_days * DAY_NS)
        for name, (_, _, kept_ns) in list(self._sizes.items()):
            if kept_ns < oldest and not self.collection.is_reviewed(name):
                self._forget(name, "deleted after retention_days")

    def _forget(self, name: str, why: str) -> None:
        self.collection.remove(name)
        self._sizes.pop(name, None)
        self.counters.add(why)

    def close(self) -> None:
        """Store what waits, write the COCO files, and end the thread. Blocks for the disk."""
        for waiting in self._requests.values():
            for done in waiting:
                done("error: the collector is closing")
        self._requests.clear()
        self._jobs.put(None)
        self._thread.join()
