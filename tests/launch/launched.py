"""Starts a shipped launch file as a user does, and checks what is left after its end."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import psutil
from network import free_domain
from observer import Observer
from waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT / "media" / "animals.mp4"
START = 120.0  # seconds until everything runs, on a busy machine
# With "auto" every detector that runs for a second starts to measure, on all cores, what is fastest.
UNTUNED = ("backend:=onnxruntime", "precision:=fp32")
_launched = itertools.count()


def ros_environment() -> dict[str, str]:
    """A separate DDS domain, limited to this machine, and no profile from outside."""
    values = {key: value for key, value in os.environ.items() if not key.endswith("_DEFAULT_PROFILES_FILE")}
    values["ROS_DOMAIN_ID"] = str(free_domain(1 + next(_launched) % 19))
    values["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    return values


def runs(process: psutil.Process) -> bool:
    """Whether it still runs: a zombie only waits for its parent, and process 1 of a container may not reap it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def still_running(processes: Iterable[psutil.Process], timeout: float = 60.0) -> list[psutil.Process]:
    """Those that have not ended within the timeout."""
    end = time.monotonic() + timeout
    while (left := [process for process in processes if runs(process)]) and time.monotonic() < end:
        time.sleep(0.01)
    return left


class Launched:
    """A command in its own session, with its output in a file."""

    def __init__(self, command: list[str], output: Path, env: dict[str, str]) -> None:
        self.output = output
        self.env = env
        with output.open("w") as out:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True, env=env
            )
        self.children: set[psutil.Process] = set()

    @cached_property
    def observer(self) -> Observer:
        """A node in the domain of the launch, until ``kill``."""
        return Observer(int(self.env["ROS_DOMAIN_ID"]))

    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, pattern: str, timeout: float = START) -> re.Match[str]:
        def found() -> re.Match[str] | None:
            assert self.process.poll() is None, f"ended early:\n{self.text()}"
            return re.search(pattern, self.text())

        match: re.Match[str] = wait_until(found, timeout, f"{pattern!r} in:\n{self.text()}")
        return match

    def remember_children(self) -> None:
        self.children |= set(psutil.Process(self.process.pid).children(recursive=True))

    def stop(self, number: int = signal.SIGINT) -> int:
        """Signal the process group, as Ctrl-C does, and return the exit code."""
        if self.process.poll() is None:
            self.remember_children()
            os.killpg(self.process.pid, number)
        try:
            return self.process.wait(120)
        except subprocess.TimeoutExpired:
            running = [(each.pid, " ".join(each.cmdline())) for each in still_running(self.children)]
            raise AssertionError(f"still running after 120 s: {running}\n{self.text()}") from None

    def orphans(self) -> list[psutil.Process]:
        """Processes started by it that still run."""
        return still_running(self.children)

    def kill(self) -> None:
        if "observer" in self.__dict__:
            self.observer.close()
        if self.process.poll() is None:
            self.remember_children()
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(120)
        for child in self.children:
            if child.is_running():
                child.kill()


def ros2(env: dict[str, str], *arguments: str, timeout: float = 120) -> str:
    """The output of a ros2 command; fails the test if the command fails."""
    done = subprocess.run(["ros2", *arguments], env=env, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"ros2 {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout
