"""Starting and stopping the processes of a measurement, on a separate DDS domain."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from edgecam_ros.starting import apply_profile

ROOT = Path(__file__).resolve().parents[1]
PROFILE = ROOT / "config" / "fastdds.xml"
_domains = itertools.count(random.SystemRandom().randint(1, 100))


def environment(profile: bool = True) -> dict[str, str]:
    """The environment of one measurement: localhost only, a fresh domain, with or without our Fast DDS profile."""
    values = dict(os.environ)
    for variable in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        values.pop(variable, None)
    values |= {
        "ROS_DOMAIN_ID": str(next(_domains) % 100 + 1),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{values.get('PYTHONPATH', '')}",
    }
    if profile:
        values["FASTDDS_DEFAULT_PROFILES_FILE"] = str(PROFILE)
        apply_profile(values)
    return values


def peer(name: str, *arguments: object) -> list[str]:
    """The command line of a module in benchmarks/peers."""
    return [sys.executable, "-m", f"benchmarks.peers.{name}", *map(str, arguments)]


@contextlib.contextmanager
def process(
    command: list[str], env: dict[str, str] | None = None, stop_seconds: float = 10.0, **options: object
) -> Iterator[subprocess.Popen[str]]:
    """A process in its own session; ended by SIGINT, after ``stop_seconds`` by SIGKILL."""
    options.setdefault("stdout", subprocess.DEVNULL)
    options.setdefault("stderr", subprocess.DEVNULL)
    child = subprocess.Popen(command, env=env, text=True, start_new_session=True, **options)  # type: ignore[call-overload]
    try:
        yield child
    finally:
        for number in (signal.SIGINT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(stop_seconds)
                break
