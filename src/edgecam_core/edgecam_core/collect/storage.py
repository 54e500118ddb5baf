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

"""Stores the frames that the collector keeps, in a separate thread, within the limits of the disk."""

from __future__ import annotations

import contextlib
import hashlib
import queue
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import cv2

from edgecam_core.cache import CacheError
from edgecam_core.collect import coco
from edgecam_core.collect.budget import MEGABYTE, SET_NS, least_valuable, outdated
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.observation import Observation, RuleMatch
from edgecam_core.collect.perceptual_hash import perceptual_hash
from edgecam_core.collect.privacy import blurred
from edgecam_core.collect.records import Box, CollectionError, KeptFrame
from edgecam_core.collect.rules import WORTH
from edgecam_core.collect.settings import CollectorSettings
from edgecam_core.counters import Counters
from edgecam_core.errors import EdgecamError
from edgecam_core.files import free_bytes
from edgecam_core.priority import lower_priority

ERROR = "error: "
_NICENESS = 10  # encoding and hashing must not displace the detector's threads
_QUEUE = 8  # frames waiting for the disk; further ones are dropped and counted
_COCO_PERIOD = 60.0  # seconds between two versions of the COCO files
_RETENTION_PERIOD = 300.0  # seconds between two checks of retention_days


@dataclass(frozen=True)
class StorageJob:
    """One frame to store: why, by which model, its hash, and a function to call with its id or an error."""

    matches: tuple[RuleMatch, ...]
    model: dict[str, str]
    hash: int | None
    done: Callable[[str], None] | None


class Storage:
    """Encodes and writes frames in its own thread. The other methods may be called from one other thread.

    ``kept`` counts stored frames by rule. ``problem`` is why nothing can be stored at present, None if it can.

    Args:
        frames: those that the collection has already.
    """

    def __init__(
        self,
        collection: Collection,
        frames: Iterable[KeptFrame],
        settings: CollectorSettings,
        counters: Counters,
        now: Callable[[], float],
    ) -> None:
        self.settings = settings
        self.kept: dict[str, int] = {}
        self.problem: EdgecamError | None = None
        self.collection = collection
        self._counters = counters
        self._now = now
        self._rejected: deque[StorageJob] = deque()
        self._sizes: dict[str, tuple[float, int, int]] = {  # id to value, bytes, kept_ns
            frame.id: (frame.value, frame.bytes, frame.kept_ns) for frame in frames
        }
        self._clock_set_ns = 0  # the first check of retention_days with a clock that is set
        self._jobs: queue.Queue[StorageJob | None] = queue.Queue(_QUEUE)
        self._thread = threading.Thread(target=self._run, name="collector", daemon=True)
        self._thread.start()

    @property
    def frames(self) -> int:
        """Number of stored frames."""
        return len(self._sizes)

    @property
    def megabytes(self) -> float:
        """Size of their images."""
        return sum(size for _, size, _ in list(self._sizes.values())) / MEGABYTE

    def put(self, job: StorageJob) -> bool:
        """Queue a frame; False if the queue is full. Does not block."""
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            return False
        return True

    def rejected(self) -> Iterator[StorageJob]:
        """The jobs that could not be stored since the last call."""
        while self._rejected:
            yield self._rejected.popleft()

    def close(self) -> None:
        """Store the queued frames, write the COCO files, and end the thread. Blocks for the disk."""
        self._jobs.put(None)
        self._thread.join()
        self.collection.close()

    # In the storage thread.

    def _run(self) -> None:
        lower_priority(_NICENESS)
        written, cleaned = self._now(), float("-inf")
        changed = False
        while True:
            try:
                job = self._jobs.get(timeout=_COCO_PERIOD)
                if job is None:
                    break
                changed = True
                self._process(job)
            except queue.Empty:
                pass
            now = self._now()
            if changed and now - written >= _COCO_PERIOD:
                changed, written = not self._try(lambda: coco.write(self.collection)), now
            if now - cleaned >= _RETENTION_PERIOD:
                self._try(self._retain)
                cleaned = now
        if changed:
            self._try(lambda: coco.write(self.collection))

    def _try(self, work: Callable[[], object]) -> bool:
        try:
            work()
        except (EdgecamError, OSError, cv2.error) as error:
            self.problem = error if isinstance(error, EdgecamError) else CollectionError(str(error))
            self._counters.add("could not be stored")
            return False
        return True

    def _process(self, job: StorageJob) -> None:
        results: list[str] = []
        stored = self._try(lambda: results.append(self._store(job)))
        if stored:
            self.problem = None
        if not stored or results[0].startswith(ERROR):
            self._rejected.append(job)
        if job.done is not None:
            job.done(results[0] if stored else f"{ERROR}{self.problem}")

    def _store(self, job: StorageJob) -> str:
        """Write one frame; returns its id, or an error if the collection is full."""
        best = job.matches[0]
        observation, frame = best.observation, best.observation.frame
        self._require_free_space()
        data, suffix = self._encode(observation)
        value = WORTH[best.rule] + sum(WORTH[match.rule] for match in job.matches[1:]) / 10
        if not self._make_room(len(data), value):
            self._counters.add("over max_megabytes, and all kept frames are worth more")
            return f"{ERROR}the collection is full (max_megabytes)"
        camera = re.sub(r"[^A-Za-z0-9_-]+", "_", observation.camera).strip("_") or "camera"
        name = f"{frame.stamp_ns:020d}-{camera[:60]}-{hashlib.sha256(data).hexdigest()[:8]}"
        kept = self.collection.add(
            KeptFrame(
                id=name,
                image=f"images/{camera[:60]}/{name}{suffix}",
                width=frame.width,
                height=frame.height,
                stamp_ns=frame.stamp_ns,
                frame_id=frame.frame_id,
                camera=observation.camera,
                rules=tuple({"rule": one.rule, "value": round(one.value, 4)} for one in job.matches),
                proposals=tuple(self._proposals(observation)),
                model=job.model,
                hash=f"{perceptual_hash(frame) if observation.hash is None else observation.hash:016x}",
                value=round(value, 4),
                kept_ns=time.time_ns(),
            ),
            data,
        )
        self._sizes[kept.id] = (kept.value, kept.bytes, kept.kept_ns)
        for match in job.matches:
            self.kept[match.rule] = self.kept.get(match.rule, 0) + 1
        return kept.id

    def _require_free_space(self) -> None:
        free = free_bytes(self.collection.root) / MEGABYTE
        if free < self.settings.min_free_megabytes:
            raise CacheError(
                f"{free:.0f} MB are free on the disk of {self.collection.root}, less than min_free_megabytes "
                f"({self.settings.min_free_megabytes:.0f}); free some space or lower it"
            )

    def _encode(self, observation: Observation) -> tuple[bytes, str]:
        """The image file and its suffix."""
        if self.settings.image_format == "source" and observation.encoded is not None:
            return observation.encoded, ".png" if observation.encoded.startswith(b"\x89PNG") else ".jpg"
        pixels = observation.frame.bgr()
        if self.settings.blur:
            pixels = blurred(pixels, observation.detections, self.settings.blur)
        suffix = ".png" if self.settings.image_format == "png" else ".jpg"
        options = [cv2.IMWRITE_JPEG_QUALITY, self.settings.jpeg_quality] if suffix == ".jpg" else []
        _, data = cv2.imencode(suffix, pixels, options)
        return data.tobytes(), suffix

    def _proposals(self, observation: Observation) -> list[Box]:
        size = (observation.frame.width, observation.frame.height)
        boxes = []
        for one in observation.detections:
            try:
                row = {"label": one.label, "box": one.box, "score": one.score, "track_id": one.track_id}
                boxes.append(Box.parse(row, size))
            except CollectionError:
                self._counters.add("proposal outside the image")
        return boxes

    def _make_room(self, size: int, value: float) -> bool:
        """Delete less valuable frames until ``size`` bytes fit; False if that is not possible."""
        self._refresh()
        excess = int(sum(one for _, one, _ in self._sizes.values()) + size - self.settings.max_megabytes * MEGABYTE)
        if excess <= 0:
            return True
        candidates = [
            (worth, bytes_, name)
            for name, (worth, bytes_, _) in self._sizes.items()
            if worth <= value and not self.collection.is_reviewed(name)
        ]
        if sum(one for _, one, _ in candidates) < excess:
            return False
        for name in least_valuable(candidates, excess):
            self._delete(name, "deleted to make room")
        return True

    def _retain(self) -> None:
        now = time.time_ns()
        if self.settings.retention_days <= 0 or now < SET_NS:
            return
        self._clock_set_ns = self._clock_set_ns or now
        self._refresh()
        for name, (_, _, kept_ns) in list(self._sizes.items()):
            old = outdated(kept_ns, self._clock_set_ns, now, self.settings.retention_days)
            if old and not self.collection.is_reviewed(name):
                self._delete(name, "deleted after retention_days")

    def _refresh(self) -> None:
        """Count the frames that other collectors of this folder have stored, and not those that they have deleted."""
        present = self.collection.ids()
        for name in self._sizes.keys() - set(present):
            del self._sizes[name]
        for name in present:
            if name not in self._sizes:
                with contextlib.suppress(CollectionError):  # another collector has deleted it meanwhile
                    frame = self.collection.frame(name)
                    self._sizes[name] = (frame.value, frame.bytes, frame.kept_ns)

    def _delete(self, name: str, reason: str) -> None:
        self.collection.remove(name)
        self._sizes.pop(name, None)
        self._counters.add(reason)
