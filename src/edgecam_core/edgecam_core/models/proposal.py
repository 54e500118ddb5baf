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

"""Proposals: a model trained by ``edgecam improve --watch`` waits for approval before it is deployed.

A proposal is the file ``proposal.json`` next to the versions of the model in the store, written atomically. Approving
needs the version and SHA-256 shown to the user, so that an approval never deploys a newer model.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgecam_core import cache
from edgecam_core.errors import ModelError
from edgecam_core.models.store import ModelStore, Version

FILE = "proposal.json"
WORKING, PENDING, REFUSED, FAILED = "working", "pending", "refused", "failed"
APPROVED, DECLINED = "approved", "declined"
STATES = (WORKING, PENDING, REFUSED, FAILED, APPROVED, DECLINED)


@dataclass(frozen=True)
class Proposal:
    """The state of one model's improvement.

    ``state`` is one of STATES, ``text`` a sentence for the user. ``version`` is 0 and ``sha256`` is "" before a version
    exists. ``report`` is a file in the store, or None. ``figures`` holds the test results. ``at`` is the time of
    writing, UTC, ISO 8601.
    """

    name: str
    state: str
    text: str
    version: int = 0
    sha256: str = ""
    report: Path | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    at: str = ""


def read(store: ModelStore, name: str) -> Proposal | None:
    """The newest proposal for a model; None if there is none, or its file is damaged."""
    folder = store.root / name
    try:
        row = json.loads((folder / FILE).read_text(encoding="utf-8"))
        state, text, version = str(row["state"]), str(row["text"]), int(row["version"])
        sha256, report, at = str(row["sha256"]), str(row["report"]), str(row["at"])
        figures = dict(row["figures"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    path = (folder / report).resolve() if report else None
    if path is not None and not (path.is_relative_to(folder.resolve()) and path.is_file()):
        path = None
    return Proposal(name, state, text, version, sha256, path, figures, at) if state in STATES else None


def all_in(store: ModelStore) -> list[Proposal]:
    """The newest proposal of every model that has one."""
    return [found for name in store.names() if (found := read(store, name)) is not None]


def write(store: ModelStore, proposal: Proposal) -> None:
    """Replace the model's proposal; ``at`` becomes now.

    Raises:
        ModelError: invalid model name.
        CacheError: the store cannot be written.
    """
    folder = store.prepare(proposal.name)
    with cache.lock(folder / ".proposal.lock"):
        _write(folder, proposal)


def approve(store: ModelStore, name: str, version: int, sha256: str) -> Version:
    """Deploy the proposed version; running detectors that follow the model load it.

    Args:
        sha256: the hash of the model that was shown to the user.

    Raises:
        ModelError: this version is not pending, or its files are not those that were proposed; the deployed version
            does not change.
        CacheError: the store cannot be written.
    """
    with cache.lock(store.prepare(name) / ".proposal.lock"):
        proposal = _pending(store, name, version)
        stored = store.version(name, version)
        if not sha256 or sha256 != proposal.sha256 or store.check(stored).sha256 != sha256:
            raise ModelError(f"version {version} of '{name}' is not the model that was proposed; review it again")
        deployed = store.deploy(name, version)
        text = f"version {version} was approved and deployed"
        _write(store.root / name, replace(proposal, state=APPROVED, text=text))
    return deployed


def decline(store: ModelStore, name: str, version: int) -> None:
    """Decline the proposal; the version stays in the store. Raises as :func:`approve`."""
    with cache.lock(store.prepare(name) / ".proposal.lock"):
        proposal = _pending(store, name, version)
        _write(store.root / name, replace(proposal, state=DECLINED, text=f"version {version} was declined"))


def _pending(store: ModelStore, name: str, version: int) -> Proposal:
    proposal = read(store, name)
    if proposal is None or proposal.state != PENDING:
        reason = f" ({proposal.text})" if proposal is not None else ""
        raise ModelError(f"no version of '{name}' waits for approval{reason}")
    if proposal.version != version:
        raise ModelError(f"version {proposal.version} of '{name}' waits for approval, not {version}; review it first")
    return proposal


def _write(folder: Path, proposal: Proposal) -> None:
    report = ""
    if proposal.report is not None:
        report = str(proposal.report.resolve().relative_to(folder.resolve()))
    content = {
        "state": proposal.state,
        "text": proposal.text,
        "version": proposal.version,
        "sha256": proposal.sha256,
        "report": report,
        "figures": dict(proposal.figures),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    cache.write(folder / FILE, (json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n").encode())
