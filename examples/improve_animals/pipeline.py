"""Starts the pipeline with its launch file and waits for results."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edgecam_core.collect.collection import Collection
from edgecam_core.errors import EdgecamError

from benchmarks.support import process

STOP_SECONDS = 30.0
PARAMETERS = """\
/**/detector:
  ros__parameters:
    confidence_threshold: 0.3
/**/collector:
  ros__parameters:
    rules: [novel, uncertain]
    look_rate: 5.0
    max_per_hour: 1000
    max_per_rule: 1000
    min_free_megabytes: 500.0
"""


@contextlib.contextmanager
def running(folder: Path, clip: Path, name: str, port: int, rtp_port: int, collect: bool) -> Iterator[Path]:
    """Run ``pipeline.launch.xml`` with a looping clip and the deployed model of the store; yields the log file."""
    parameters, log = folder / "params.yaml", folder / "pipeline.log"
    parameters.write_text(PARAMETERS)
    command = [
        "ros2", "launch", "edgecam_bringup", "pipeline.launch.xml", f"source:=file://{clip}", "loop:=true",
        f"model:=store:{name}", f"params_file:={parameters}", f"port:={rtp_port}", f"viewer_port:={port}",
        f"collect:={str(collect).lower()}", f"collect_directory:={folder / 'collection'}",
    ]  # fmt: skip
    with log.open("w") as output, process(command, None, STOP_SECONDS, stdout=output, stderr=subprocess.STDOUT):
        yield log


def wait_for(condition: Callable[[], object], seconds: float, what: str, log: Path) -> None:
    """Block until the condition is true.

    Raises:
        EdgecamError: it stayed false; the message ends with the last lines of the pipeline.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.2)
    last = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise EdgecamError(f"{what}: nothing within {seconds:.0f} s; the last lines of the pipeline:\n{last}")


def collect(folder: Path, target: int, seconds: float, log: Path, report: Callable[[str], None]) -> int:
    """Wait until the collector has kept ``target`` frames, at most ``seconds`` after the first; returns the number."""
    collection = folder / "collection"

    def kept() -> int:
        with contextlib.suppress(EdgecamError):
            return len(Collection.open(collection).ids())
        return 0

    wait_for(kept, 120, "the first kept frame", log)
    end = time.monotonic() + seconds
    shown = 0.0
    while (count := kept()) < target and time.monotonic() < end:
        if time.monotonic() - shown > 15:
            shown = time.monotonic()
            report(f"{count} frames kept")
        time.sleep(0.5)
    return kept()
