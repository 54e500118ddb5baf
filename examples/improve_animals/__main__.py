"""The complete ``edgecam improve`` cycle, automatic, on two cores; ``make demo-improve`` runs it.

The default model does not know pigs and chickens. The collector keeps frames of a clip while the pipeline runs; a
headless browser enters the ground truth on the labelling page; ``edgecam improve`` trains and tests a new model; a
model that passes is deployed to the running pipeline. The table at the end compares both models on photographs and
scenes that were not used for training. Each step is done once: an interrupted run continues with the next step.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecam_core.errors import EdgecamError, MissingDependency
from edgecam_core.models import zoo
from edgecam_core.models.store import ModelStore
from edgecam_ros.starting import apply_profile
from edgecam_training.data import manifest
from edgecam_training.data.dataset import Sample

from examples.improve_animals import ROOT, labelling, material, pipeline, table
from tests.support.chromium import executable
from tests.support.network import free_domain, free_tcp_port, free_udp_port

NAME = "farm"  # name of the model in the store
ADDED = ("chicken", "pig")
COLLECTED = 100  # sufficient number of frames
REFUSED = 3


@dataclass
class Demonstration:
    """One demonstration in a folder. ``done`` has the finished steps with their facts, stored in steps.json."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        os.environ["EDGECAM_MODELS"] = str(self.folder / "models")
        self._file = self.folder / "steps.json"
        self.done: dict[str, dict[str, Any]] = json.loads(self._file.read_text()) if self._file.exists() else {}

    def step(self, name: str, what: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Do a step, unless it is done already; returns its facts."""
        if name in self.done:
            print(f"== {name}: already done")
            return self.done[name]
        print(f"== {name}: {what}", flush=True)
        began, busy = time.monotonic(), _processor()
        facts = work()
        seconds = {"seconds": time.monotonic() - began, "processor_seconds": _processor() - busy}
        self.done[name] = {**facts, **{key: round(value, 1) for key, value in seconds.items()}}
        self._file.write_text(json.dumps(self.done, indent=2) + "\n")
        print(f"   {name} took {self.done[name]['seconds']:.0f} s", flush=True)
        return self.done[name]


def _processor() -> float:
    """Seconds of CPU time of this process and its ended children."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usages)


def report(text: str) -> None:
    print(f"   {text}", flush=True)


def edgecam(*words: str) -> int:
    """Run an edgecam command; returns its exit code."""
    report(f"$ edgecam {' '.join(words)}")
    return subprocess.run([sys.executable, "-m", "edgecam_core.cli.main", *words], check=False).returncode


def make(run: Demonstration) -> dict[str, Any]:
    material.make(run.folder)
    return {}


def collect(run: Demonstration) -> dict[str, Any]:
    collection = run.folder / "collection"
    shutil.rmtree(collection, ignore_errors=True)
    shutil.rmtree(run.folder / "models", ignore_errors=True)
    for words in (("get", zoo.DEFAULT, "--as", NAME), ("deploy", NAME)):
        if code := edgecam("model", *words):
            raise EdgecamError(f"edgecam model {words[0]} ended with exit code {code}")
    clip = material.clip(run.folder, "field")
    seconds = 1.6 * material.FIELD_SCENES * material.SECONDS
    with pipeline.running(run.folder, clip, NAME, free_tcp_port(), free_udp_port(), collect=True) as log:
        return {"frames": pipeline.collect(run.folder, COLLECTED, seconds, log, report)}


def label(run: Demonstration) -> dict[str, Any]:
    truth = material.ClipTruth(run.folder, "field")
    screenshots = {number: run.folder / f"label-{number}.png" for number in (1, 2, 3, 5, 8)}
    with labelling.served(run.folder / "collection", free_tcp_port()) as address:
        seconds = asyncio.run(labelling.review(run.folder / "collection", address, truth.of, screenshots, report))
    return {"review_seconds": round(seconds, 1)}


def improve(run: Demonstration) -> dict[str, Any]:
    known = [one for one in material.photographs(run.folder) if not set(one.labels) & set(ADDED)]
    names = sorted({label for one in known for label in one.labels})
    samples = []
    for one in known:
        height, width = one.pixels().shape[:2]
        numbers = [names.index(label) for label in one.labels]
        samples.append(Sample.make(one.path, (width, height), "test", one.boxes, numbers))
    manifest.write(run.folder / "photos", names, samples)
    code = edgecam(
        "improve", str(run.folder / "collection"), "--model", f"store:{NAME}", "--store", NAME,
        "--output", str(run.folder / "improve"), "--old-set", str(run.folder / "photos"), "--gap-seconds", "1.5",
    )  # fmt: skip
    if code not in (0, REFUSED):
        raise EdgecamError(f"edgecam improve ended with exit code {code}")
    return {"passed": code == 0}


def swap(run: Demonstration) -> dict[str, Any]:
    from examples.improve_animals.swap import swap as measure_swap

    clip = material.clip(run.folder, "held-out")
    _deploy("1")  # the step may have been interrupted before
    with pipeline.running(run.folder, clip, NAME, free_tcp_port(), free_udp_port(), collect=False) as log:
        return measure_swap(_deploy, frozenset(ADDED), log)


def _deploy(*version: str) -> None:
    """Deploy a version, or the newest."""
    if code := edgecam("model", "deploy", NAME, *version):
        raise EdgecamError(f"edgecam model deploy ended with exit code {code}")


def compare(run: Demonstration) -> dict[str, Any]:
    versions = ModelStore().versions(NAME)
    old, new = versions[0].path, versions[-1].path
    made = []
    for name, images in (
        ("photographs", material.photographs(run.folder)), ("clip", material.held_out(run.folder)),
    ):  # fmt: skip
        made += table.rows(name, images, old, new, ADDED, lambda _text: None)
    (run.folder / "table.md").write_text(table.markdown(made) + "\n")
    return {"rows": made}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo-improve", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "data" / "demo-improve")
    parser.add_argument("--fresh", action="store_true", help="start again from the first step")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.resolve()
    if arguments.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    try:
        return demonstrate(Demonstration(folder))
    except EdgecamError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def demonstrate(run: Demonstration) -> int:
    """Run all steps. Returns 0 if the new model runs, 3 if the gate refused it."""
    if executable() is None:
        raise MissingDependency("the program 'chromium'", "apt-get install chromium")
    os.environ["ROS_DOMAIN_ID"] = str(free_domain())
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ.setdefault("FASTDDS_DEFAULT_PROFILES_FILE", str(ROOT / "config" / "fastdds.xml"))
    apply_profile(os.environ)
    run.step("material", "clips of composed scenes, photographs", lambda: make(run))
    kept = run.step("collect", "the pipeline runs the clip, the collector keeps frames", lambda: collect(run))
    report(f"{kept['frames']} frames kept")
    run.step("label", "a headless browser enters the ground truth on the labelling page", lambda: label(run))
    verdict = run.step("improve", "train, compare, decide", lambda: improve(run))
    if verdict["passed"]:
        facts = run.step("swap", "the running detector switches to the new model", lambda: swap(run))
        for key, value in facts.items():
            report(f"{key}: {value}")
        if not facts["took_over"]:
            report("the detector refused the new model: the old one stays. The table compares both.")
    else:
        report("the gate refused the new model: the old one stays deployed. The table compares both.")
    run.step("compare", "both models on images that were not used for training", lambda: compare(run))
    print(f"\n{(run.folder / 'table.md').read_text()}")
    print("AP at IoU 0.5 in percent, 95 % bootstrap interval over images")
    print(f"report: {run.folder / 'improve' / 'report.html'}")
    for title, key in (("minutes", "seconds"), ("minutes of CPU time", "processor_seconds")):
        steps = ", ".join(f"{name} {facts[key] / 60:.1f}" for name, facts in run.done.items())
        print(f"{title}: {steps}; total {sum(facts[key] for facts in run.done.values()) / 60:.1f}")
    return 0 if verdict["passed"] else REFUSED


if __name__ == "__main__":
    sys.exit(main())
