#!/usr/bin/env python3
"""Run a command and report what it leaves behind: processes with their ports, shared memory, files.

    leftovers.py REPORT COMMAND...

The exit code is the command's. REPORT gets one line for each thing left; it is empty if there is none. Processes of
other people do not count: this one adopts every orphan of the command (PR_SET_CHILD_SUBREAPER), so what is still its
child afterwards came from it. Processes get GRACE seconds to end and are killed then. Files count in the checkout, and
those of edgecam in the temporary folder, which the command has for itself; it is removed afterwards. Shared memory and
files in the checkout may be of another program that runs beside this one: what goes away within GRACE does not count.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import psutil

SHARED_MEMORY = Path(os.environ.get("LEFTOVERS_SHARED_MEMORY", "/dev/shm"))
ELSEWHERE = ("fastdds_", "fastrtps_", "sem.fastdds_", "sem.fastrtps_", "lttng-ust-wait")
GRACE = float(os.environ.get("LEFTOVERS_GRACE", "10"))
_PR_SET_CHILD_SUBREAPER = 36
T = TypeVar("T", str, Path)


def main() -> int:
    report, *command = sys.argv[1:]
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # the command handles it; a handler, unlike SIG_IGN, is reset by exec
    files, segments = changed_files(), shared_memory()
    temporary = Path(tempfile.mkdtemp(prefix="t-"))
    temporary.chmod(0o1777)  # like /tmp: tests run programs as other users
    # The folders of pytest stay, for who looks at a failure.
    os.environ |= {"TMPDIR": str(temporary), "PYTEST_DEBUG_TEMPROOT": str(temporary.parent)}
    code = run(command)
    # Processes first: their resources are in use until they have ended.
    left = processes()
    left += [f"shared memory {path}" for path in lasting(lambda: unused(shared_memory() - segments))]
    left += [f"file {name}" for name in lasting(lambda: changed_files() - files)]
    left += [f"file {path}" for path in sorted(temporary.glob("edgecam-*"))]
    shutil.rmtree(temporary, ignore_errors=True)
    Path(report).write_text("".join(f"{line}\n" for line in left))
    return code


def run(command: list[str]) -> int:
    """Run the command; returns its exit code.

    Reaps orphans when they end, like init: tests check that they are gone.
    """
    process = subprocess.Popen(command)
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == process.pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode if process.returncode >= 0 else 128 - process.returncode


def processes() -> list[str]:
    """End the command's remaining processes; a line for each that had to be killed."""
    deadline = time.monotonic() + GRACE
    while (running := descendants()) and time.monotonic() < deadline:
        time.sleep(0.1)
    lines = [line for process in running for line in described(process)]
    while running:
        for process in running:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.1)
        running = descendants()
    return lines


def descendants() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
            elif process.ppid() == os.getpid():
                os.waitpid(process.pid, os.WNOHANG)
        except (psutil.NoSuchProcess, ChildProcessError):
            continue
    return found


def described(process: psutil.Process) -> Iterator[str]:
    try:
        yield f"process {process.pid}: {' '.join(process.cmdline())[:200]}"
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                yield f"port {connection.laddr.port} of process {process.pid}"
    except psutil.Error:
        return


def lasting(look: Callable[[], set[T]]) -> list[T]:
    """What this call returns for GRACE seconds, sorted; returns early if nothing does."""
    deadline = time.monotonic() + GRACE
    found = look()
    while found and time.monotonic() < deadline:
        time.sleep(0.2)
        found &= look()
    return sorted(found)


def shared_memory() -> set[Path]:
    """This user's entries in /dev/shm, except those of Fast DDS (freed elsewhere) and LTTng (shared)."""
    found = set()
    for path in SHARED_MEMORY.iterdir() if SHARED_MEMORY.is_dir() else ():
        try:
            if path.stat().st_uid == os.getuid() and not path.name.startswith(ELSEWHERE):
                found.add(path)
        except OSError:
            continue
    return found


def unused(paths: set[Path]) -> set[Path]:
    """The entries that no process has mapped or open; the others are in use by other programs."""
    if not paths:
        return paths
    names = {str(path) for path in paths}
    for process in psutil.process_iter():
        try:
            names -= {one.path for one in process.memory_maps()} | {one.path for one in process.open_files()}
        except psutil.Error:
            continue
    return {path for path in paths if str(path) in names and path.exists()}


def changed_files() -> set[str]:
    """New and changed files in the working folder, by git; empty if it is not a checkout."""
    command = ["git", "status", "--porcelain", "--untracked-files=all"]
    try:
        return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())
    except (OSError, subprocess.CalledProcessError):
        return set()


if __name__ == "__main__":
    sys.exit(main())
