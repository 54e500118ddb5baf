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

"""Downloads a selection of Open Images, or the images of an existing manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from edgecam_core.errors import ImageError, SettingError
from edgecam_core.media.image_reader import decode_image

from edgecam_core import cache
from edgecam_training.data import manifest
from edgecam_training.data.checks import tidy_boxes
from edgecam_training.data.dataset import Sample
from edgecam_training.data.findings import Findings
from edgecam_training.data.open_images import like as rules
from edgecam_training.data.open_images import tables, transfer
from edgecam_training.data.open_images.request import claim
from edgecam_training.data.open_images.selection import Chosen, Criteria, choose, matching
from edgecam_training.data.open_images.source import Bar, OpenImagesSource, Progress, megabytes, silent
from edgecam_training.data.open_images.tables import FOLDERS, RELEASES, TableBox
from edgecam_training.errors import DatasetError

_BROKEN_TRIES = 2  # downloads of an image that is complete but cannot be decoded


@dataclass
class FetchOutcome:
    """``images`` is the number of valid images on disk; the lists contain the ids of the others."""

    images: int = 0
    boxes: int = 0
    missing: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    findings: dict[str, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether another run would add nothing."""
        return not self.failed and not self.changed

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class _Job:
    image: str
    split: str
    sha256: str = ""

    def target(self, output: Path) -> Path:
        return output / self.split / f"{self.image}.jpg"


def download(
    criteria: Criteria,
    output: Path,
    version: str = "v6",
    workers: int = 32,
    bar: Bar = silent,
    source: OpenImagesSource | None = None,
    like: str = "",
    replace_other: bool = False,
) -> FetchOutcome:
    """Download tables (train: 2 GB, once) and images, check every one, write ``manifest.jsonl``.

    May be interrupted at any time; the same call continues. Tables stay in ``output/tables``.

    Args:
        like: ``jetson-inference`` selects images like its downloader, see :mod:`like`.
        replace_other: use the folder even if it holds another data set.

    Raises:
        SettingError: an unknown release, split or tool.
        DatasetError: an unknown class, a table that cannot be downloaded, no image, a full disk, or a folder that holds
            another data set.
    """
    source = source or OpenImagesSource()
    if like not in ("", rules.NAME):
        raise SettingError("like", like, f"must be {rules.NAME}")
    if version not in RELEASES:
        raise SettingError("version", version, f"must be one of {', '.join(RELEASES)}")
    for split in criteria.splits:
        if split not in FOLDERS:
            raise SettingError("splits", split, f"must be of {', '.join(FOLDERS)}")
    release = RELEASES[version]

    def table(name: str) -> Path:
        return source.table(name, output / "tables", bar)

    codes = tables.class_codes(table(release.classes), criteria.classes)
    request = {**asdict(criteria), "classes": list(codes.values()), "version": version, "like": like}
    claim(output, request, replace_other)
    chosen: dict[str, Chosen] = {}
    for split in criteria.splits:
        reading = megabytes(bar(f"reading boxes of {split}, MB"))
        found = tables.boxes(table(release.boxes[split]), codes, reading)
        chosen[split] = matching(found, criteria) if like else choose(found, criteria)
    if like:
        chosen = rules.limited(chosen, criteria.max_images, criteria.seed)
    jobs = [_Job(image, split) for split, images in chosen.items() for image in sorted(images)]
    outcome = FetchOutcome()
    sizes = _fetch_all(jobs, output, source.images, workers, outcome, bar("images"))
    facts = {split: tables.facts(table(release.images[split]), set(chosen[split])) for split in criteria.splits}
    names = list(codes.values())
    numbers = {code: index for index, code in enumerate(codes)}
    samples = [
        _sample(job, output, sizes[job], chosen[job.split][job.image], numbers, criteria.groups_as_objects,
                facts[job.split].get(job.image, {}))
        for job in jobs
        if job in sizes
    ]  # fmt: skip
    return _finish(output, names, samples, outcome)


def refetch(
    manifest_file: Path, output: Path, workers: int = 32, bar: Bar = silent, source: OpenImagesSource | None = None,
    replace_other: bool = False,
) -> FetchOutcome:  # fmt: skip
    """Download the images of a manifest, byte for byte; an image with a different hash is deleted.

    Raises:
        DatasetError: no such manifest, a manifest with other splits, nothing could be downloaded, or the folder holds
            another data set.
    """
    known = manifest.read(manifest_file)
    unknown = set(known.counts()) - set(FOLDERS)
    if unknown:
        raise DatasetError(f"{manifest_file} has a split {sorted(unknown)[0]!r}; Open Images has {', '.join(FOLDERS)}")
    path = manifest_file if manifest_file.is_file() else manifest_file / manifest.NAME
    if path.resolve() != (output / manifest.NAME).resolve():
        claim(output, {"manifest_sha256": cache.sha256(path)}, replace_other)
    by_job = {_Job(s.path.stem, s.split, str(s.facts.get("sha256", ""))): s for s in known.samples}
    outcome = FetchOutcome()
    sizes = _fetch_all(list(by_job), output, (source or OpenImagesSource()).images, workers, outcome, bar("images"))
    samples = [replace(sample, path=job.target(output)) for job, sample in by_job.items() if job in sizes]
    return _finish(output, list(known.classes), samples, outcome)


def _finish(output: Path, classes: list[str], samples: list[Sample], outcome: FetchOutcome) -> FetchOutcome:
    if not samples:
        reasons = {key: len(value) for key, value in asdict(outcome).items() if isinstance(value, list) and value}
        raise DatasetError(f"no image could be downloaded for {output}: {reasons or 'none has a box of these classes'}")
    findings = Findings()
    tidied = [tidy_boxes(sample, findings) for sample in samples]
    manifest.write(output, classes, tidied)
    outcome.images, outcome.findings = len(tidied), findings.counts()
    outcome.boxes = sum(len(sample.labels) for sample in tidied)
    return outcome


def _fetch_all(
    jobs: list[_Job], output: Path, server: str, workers: int, outcome: FetchOutcome, progress: Progress
) -> dict[_Job, tuple[int, int, str]]:
    """Width, height and SHA-256 of every valid image, by job; the others are added to ``outcome``."""
    found = {}
    for number, (job, result) in enumerate(_in_parallel(jobs, output, server, workers), start=1):
        if isinstance(result, tuple):
            found[job] = result
        else:
            getattr(outcome, result).append(f"{job.split}/{job.image}")
        progress(number, len(jobs))
    return found


def _in_parallel(
    jobs: list[_Job], output: Path, server: str, workers: int
) -> Iterable[tuple[_Job, tuple[int, int, str] | str]]:
    pool = ThreadPoolExecutor(workers)
    try:
        yield from zip(jobs, pool.map(lambda job: _image(job, output, server), jobs), strict=True)
    finally:  # also on Ctrl-C: running jobs finish, queued ones are cancelled
        pool.shutdown(wait=True, cancel_futures=True)


def _image(job: _Job, output: Path, server: str) -> tuple[int, int, str] | str:
    """Download and check one image; returns the name of the list in Outcome if that fails."""
    target = job.target(output)
    url = f"{server}/{FOLDERS[job.split]}/{job.image}.jpg"
    for _ in range(_BROKEN_TRIES):
        if not target.is_file():
            try:
                transfer.fetch(url, target)
            except transfer.Missing:
                return "missing"
            except DatasetError as error:
                if "disk is full" in str(error):
                    raise
                return "failed"
        data = target.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        size = _upright_size(data)
        if size and job.sha256 in ("", digest):
            return *size, digest
        target.unlink()
    return "changed" if size else "broken"


def _upright_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a complete image that can be decoded, else None."""
    try:
        pixels = decode_image(data)
    except ImageError:
        return None
    return int(pixels.shape[1]), int(pixels.shape[0])


def _sample(
    job: _Job,
    output: Path,
    found: tuple[int, int, str],
    boxes: list[TableBox],
    numbers: dict[str, int],
    groups_as_objects: bool,
    facts: dict[str, Any],
) -> Sample:
    width, height, digest = found
    scale = np.array([width, height] * 2)
    corners = [tuple(np.array(box.corners) * scale) for box in boxes]
    labels = [numbers[box.code] for box in boxes]
    groups = [box.group and not groups_as_objects for box in boxes]
    return Sample.make(
        job.target(output), (width, height), job.split, corners, labels, crowd=groups, id=job.image, sha256=digest,
        **facts,
    )  # fmt: skip
