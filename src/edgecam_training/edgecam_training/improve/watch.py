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

"""Improves the model after each finished review. A model that passes is proposed, never deployed.

A review is finished when every frame of the collection is reviewed or skipped. The same reviews are used only once.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from edgecam_core.cache import CacheError
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.records import REVIEWED, SKIPPED
from edgecam_core.errors import EdgecamError
from edgecam_core.models import proposal
from edgecam_core.models.proposal import FAILED, PENDING, REFUSED, WORKING, Proposal
from edgecam_core.models.store import ModelStore

from edgecam_training.improve import field
from edgecam_training.improve.improve import Outcome, Request, store
from edgecam_training.improve.measure import Progress

_TICK = 100_000_000  # ns; the next change may get the same time stamp as a change this recent
_TEXT_PERIOD = 5.0  # seconds between two progress texts in the proposal


class Watch:
    """Watches one collection for the model ``name`` of the store.

    Args:
        work: like :func:`edgecam_training.improve.improve.improve`.
        log: called with every new state as text.
    """

    def __init__(
        self,
        request: Request,
        name: str,
        models: ModelStore,
        work: Callable[[Request, Progress], Outcome],
        log: Progress,
    ) -> None:
        self._request = request
        self._name = name
        self._models = models
        self._work = work
        self._log = log
        self._seen: tuple[int, ...] = ()
        self._tried = ""
        self._text_at = float("-inf")

    def run(self, period: float = 2.0, retry: float = 60.0) -> None:
        """Check for a finished review every ``period`` seconds until interrupted.

        If the store or the collection cannot be written, it reports that and tries again after ``retry`` seconds;
        finished stages of a training are not repeated.
        """
        while True:
            try:
                self.once()
            except CacheError as error:
                self._log(f"{self._name}: {error}; trying again in {retry:g} s")
                self._seen, self._tried = (), ""
                time.sleep(retry)
            time.sleep(period)

    def once(self) -> bool:
        """Improve the model if a finished review has not been used yet; returns whether it did.

        Errors are stored in the proposal. CacheError is raised, too: the work can be repeated once there is space.
        """
        changed = self._changed()
        if changed == self._seen:
            return False
        if time.time_ns() - max(changed) > _TICK:
            self._seen = changed
        try:
            data = self._finished()
        except EdgecamError as error:
            self._propose(Proposal(self._name, FAILED, str(error)))
            return False
        if not data or data in self._used():
            return False
        self._tried = data
        self._improve()
        return True

    def _changed(self) -> tuple[int, ...]:
        """Modification times that change when a frame or review is added, changed or removed. Three system calls."""
        root = self._request.collection.expanduser()
        times = []
        for name in ("collection.json", "frames", "reviews"):
            try:
                times.append((root / name).stat().st_mtime_ns)
            except OSError:
                times.append(0)
        return tuple(times)

    def _finished(self) -> str:
        """The fingerprint of the reviewed frames; empty if some are still to be reviewed, or if none is reviewed."""
        if not (self._request.collection.expanduser() / "collection.json").is_file():
            return ""  # the collector has not started yet
        collection = Collection.open(self._request.collection)
        states = {review.id: review.state for review in collection.reviews()}
        if any(states.get(name) not in (REVIEWED, SKIPPED) for name in collection.ids()):
            return ""
        return field.fingerprint(field.reviewed(self._request.collection)) if REVIEWED in states.values() else ""

    def _used(self) -> set[str]:
        if self._name not in self._models.names():
            return {self._tried}
        return {self._tried, *(str(one.facts.get("data")) for one in self._models.versions(self._name))}

    def _improve(self) -> None:
        self._propose(Proposal(self._name, WORKING, "a review is finished: improving the model"))
        try:
            outcome = self._work(self._request, self._progress)
            version = store(outcome, self._request, self._name, self._models)
        except CacheError as error:
            with contextlib.suppress(CacheError):  # the store may be on the same full disk
                self._propose(Proposal(self._name, FAILED, str(error)))
            raise
        except EdgecamError as error:
            self._propose(Proposal(self._name, FAILED, str(error)))
            return
        except BaseException:
            self._propose(Proposal(self._name, FAILED, "interrupted; start the command again to continue"))
            raise
        state = PENDING if outcome.verdict.passed else REFUSED
        text = "; ".join(outcome.verdict.reasons)
        sha256, report = str(version.facts["sha256"]), version.folder / "report.html"
        self._propose(Proposal(self._name, state, text, version.number, sha256, report, figures(outcome)))

    def _progress(self, text: str) -> None:
        if time.monotonic() - self._text_at > _TEXT_PERIOD:
            self._text_at = time.monotonic()
            self._propose(Proposal(self._name, WORKING, text))

    def _propose(self, new: Proposal) -> None:
        proposal.write(self._models, new)
        self._log(f"{new.name}: {new.state}: {new.text}")


def figures(outcome: Outcome) -> dict[str, Any]:
    """The test results that a user needs to approve or reject the model."""
    facts = outcome.facts["field"]
    return {
        "frames": facts["images"],
        "before": facts["old"],
        "after": facts["new"],
        "difference": facts["difference"],
        "wrong_boxes_before": round(facts["false_alarms"]["old"], 2),
        "wrong_boxes_after": round(facts["false_alarms"]["new"], 2),
        "learned": outcome.facts["labels"]["learned"],
    }
