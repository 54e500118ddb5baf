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

"""Measures once which back end, precision and number of threads runs a model fastest on this machine's CPU.

Compares the installed CPU back ends, the precisions whose loss the model's metadata allows (``edgecam.loss``,
``edgecam.max_loss``) and numbers of threads, as far as the settings leave them open. The result is stored with the
engines, for this CPU, this model and the installed versions of the back ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import resource
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgecam_core.errors import EdgecamError, ModelError
from edgecam_core.inference import artifacts
from edgecam_core.inference.backends import CPU_BACKENDS
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.runner import Progress, silent
from edgecam_core.inference.shipped_int8 import has_ranges
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.plan import Plan
from edgecam_core.side_process import SideProcess

_DEFAULT_LOSS = 0.5  # mAP points that a model without edgecam.max_loss may lose
_WARM_UP = 3
_MIN_RUNS, _MAX_RUNS, _SECONDS = 8, 60, 0.6  # measured inferences, and the time after which the minimum is enough
_ALIKE = 1.1  # choices within this factor count as equally fast
_DISTURBED = 1.5  # an inference that takes this multiple of its CPU time waited for other processes
_SUFFIX = ".choice"


@dataclass(frozen=True)
class TuningChoice:
    """One way to run the model: milliseconds per image, and CPU time in milliseconds over all threads."""

    backend: str
    precision: str
    threads: int
    ms: float
    cpu_ms: float

    def __str__(self) -> str:
        precision = "fp32" if self.precision == "auto" else self.precision
        return f"{self.backend} {precision}, {self.threads} threads: {self.ms:.1f} ms ({self.cpu_ms:.1f} ms of CPU)"


def is_open(settings: DetectorSettings) -> bool:
    """Whether the settings leave anything to choose."""
    return settings.device in ("auto", "cpu") and "auto" in (settings.backend, settings.precision)


def allowed_precisions(model: ModelFile) -> list[str]:
    """``auto`` (that of the file), and INT8 if its loss in the metadata is within the limit."""
    loss = model.fact("loss", {})
    int8 = loss.get("int8") if isinstance(loss, dict) else None
    cheap = isinstance(int8, int | float) and int8 <= float(model.fact("max_loss", _DEFAULT_LOSS))
    return ["auto", "int8"] if cheap and has_ranges(model) else ["auto"]


def stored_choice(plan: Plan, settings: DetectorSettings) -> TuningChoice | None:
    """The stored result for this machine; None if there is no matching one."""
    artifact, facts = _record(plan, settings)
    if artifact.mismatch(facts):
        return None
    try:
        return TuningChoice(**json.loads(artifact.path.read_text(encoding="utf-8"))["best"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def choices_of(sha256: str) -> list[tuple[artifacts.Artifact, dict[str, Any], TuningChoice]]:
    """All stored results for a model: file, facts and best choice; the newest first."""
    found = []
    for one in artifacts.list_artifacts(artifacts.folder()):
        facts = one.facts()
        if not one.path.name.endswith(_SUFFIX) or facts.get("model_sha256") != sha256 or one.mismatch(facts):
            continue
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            found.append((one, facts, TuningChoice(**json.loads(one.path.read_text(encoding="utf-8"))["best"])))
    return sorted(found, key=lambda row: row[0].path.stat().st_mtime_ns, reverse=True)


def carry_over(sha256: str, new: ModelFile, precision: str) -> None:
    """Use the stored results for a model for another model of the same network, too.

    Args:
        sha256: of the model that was measured.
        precision: results in other precisions are left out; ``auto`` is that of ``new``.

    Raises:
        CacheError: they cannot be written.
    """
    for one, known, choice in choices_of(sha256):
        if precision != (new.precision if choice.precision == "auto" else choice.precision):
            continue
        facts = {name: value for name, value in known.items() if name != "sha256"}
        facts |= {"model": new.path.name, "model_sha256": new.sha256}
        _artifact(new, facts, one.path.parent).put(facts, one.path.read_bytes())


def with_choice(choice: TuningChoice, settings: DetectorSettings) -> DetectorSettings:
    """The settings with back end, precision and threads of this choice."""
    return settings.changed(backend=choice.backend, precision=choice.precision, threads=choice.threads)


def tune(settings: DetectorSettings, progress: Progress = silent) -> list[TuningChoice]:
    """Measure in this process and store the result; returns all choices, best first. Blocks for some seconds.

    Raises:
        ModelError: no CPU back end can run the model.
        CacheError: the result cannot be stored.
        SettingError, MissingDependency: as :meth:`Detector.open`.
    """
    plan = Plan.read(settings, progress)
    found = list(_measured(plan, settings, progress))
    if not found:
        raise ModelError(f"no CPU back end can run {plan.model.path}; edgecam doctor lists what is installed")
    ranked = rank(found)
    artifact, facts = _record(plan, settings)
    content = {"best": asdict(ranked[0]), "measured": [asdict(item) for item in ranked]}
    artifact.put(facts, (json.dumps(content, indent=2) + "\n").encode())
    return ranked


def start_tuning(settings: DetectorSettings) -> SideProcess:
    """Start :func:`tune` in a separate process with low priority; :func:`measured` waits for the result.

    In its own process, only the measured model counts as CPU time, and its memory is freed at the end.
    """
    given = {name: getattr(settings, name) for name in DetectorSettings.specs()}
    return SideProcess("measuring the fastest way to run a model", _tune, given)


def measured(process: SideProcess) -> list[TuningChoice]:
    """All choices, best first; blocks until they are measured. Raises EdgecamError: the measurement failed."""
    return [TuningChoice(**item) for item in process.result(silent)]


def _tune(given: Mapping[str, Any], progress: Progress) -> list[dict[str, Any]]:
    return [asdict(item) for item in tune(DetectorSettings.from_mapping(given), progress)]


def rank(found: list[TuningChoice]) -> list[TuningChoice]:
    """Sort by inference time; among choices about as fast as the fastest, the least CPU time comes first.

    An inference that takes much longer than its CPU time was disturbed by other processes. Inference times are then
    unreliable: CPU time decides, and among about equal ones the largest number of threads.
    """
    if any(item.ms > _DISTURBED * item.cpu_ms for item in found):
        limit = _ALIKE * min(item.cpu_ms for item in found)
        return sorted(found, key=lambda item: (0, -item.threads) if item.cpu_ms <= limit else (1, item.cpu_ms))
    limit = _ALIKE * min(item.ms for item in found)
    return sorted(found, key=lambda item: (0, item.cpu_ms) if item.ms <= limit else (1, item.ms))


def _measured(plan: Plan, settings: DetectorSettings, progress: Progress) -> Iterator[TuningChoice]:
    """Measure back ends and precisions with all cores, then fewer threads for the best of them."""
    cores = len(os.sched_getaffinity(0))
    backends = CPU_BACKENDS if settings.backend == "auto" else (settings.backend,)
    precisions = allowed_precisions(plan.model) if settings.precision == "auto" else [settings.precision]
    max_threads = settings.threads or cores
    found = []
    for backend in backends:
        for precision in precisions:
            choice = _measure(plan, settings, TuningChoice(backend, precision, max_threads, 0.0, 0.0), progress)
            if choice is not None:
                found.append(choice)
                yield choice
    if found and not settings.threads:
        best = rank(found)[0]
        for threads in (count for count in (1, 2, 4, 8) if count < cores):
            choice = _measure(plan, settings, TuningChoice(best.backend, best.precision, threads, 0.0, 0.0), progress)
            if choice is not None:
                yield choice


def _measure(plan: Plan, settings: DetectorSettings, choice: TuningChoice, progress: Progress) -> TuningChoice | None:
    """The choice with its times; None if it cannot be loaded: not installed, or an unsupported operator."""
    progress(f"measuring {choice.backend} {choice.precision} with {choice.threads} threads")
    try:
        detector = Detector.load(plan, with_choice(choice, settings).changed(device="cpu"), progress)
    except EdgecamError as error:
        progress(str(error))
        return None
    image = np.full((480, 640, 3), 114, np.uint8)
    durations: list[float] = []
    cpus: list[float] = []
    try:
        for _ in range(_WARM_UP):
            detector.detect(image)
        until = time.monotonic() + _SECONDS
        while len(durations) < _MIN_RUNS or (time.monotonic() < until and len(durations) < _MAX_RUNS):
            before = _cpu_seconds()
            detector.detect(image)
            durations.append(detector.timings.infer)
            cpus.append(_cpu_seconds() - before)
    finally:
        detector.close()
    # The shortest time is that of an undisturbed run, even on a busy machine.
    return replace(choice, ms=1e3 * min(durations), cpu_ms=1e3 * float(np.median(cpus)))


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _record(plan: Plan, settings: DetectorSettings) -> tuple[artifacts.Artifact, dict[str, Any]]:
    facts = {
        "model": plan.model.path.name,
        "model_sha256": plan.model.sha256,
        "machine": f"{_processor()}, {len(os.sched_getaffinity(0))} cores",
        "versions": {name: version for name in CPU_BACKENDS if (version := _version(name))},
        "settings": [settings.backend, settings.precision, settings.threads, settings.max_batch],
    }
    return _artifact(plan.model, facts, artifacts.folder(settings.cache_folder)), facts


def _artifact(model: ModelFile, facts: artifacts.Facts, folder: Path) -> artifacts.Artifact:
    return artifacts.Artifact(folder / f"{model.path.stem}-tuned-{artifacts.tag(facts)}{_SUFFIX}")


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    """The name of the CPU in /proc/cpuinfo, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
