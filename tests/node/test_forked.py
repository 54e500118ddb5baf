"""The programs that tests fork behave as those of a new interpreter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import forked
import pytest

SHOWS = """
import json, os, signal, sys, threading
json.dump([sys.argv, os.getcwd(), os.environ.get("ONLY"), os.environ.get("HOME"), os.getppid(), os.getpid(),
           os.getpgid(0), __name__, signal.getsignal(signal.SIGINT) is signal.default_int_handler,
           len(os.listdir("/proc/self/fd")), sys.path[0], threading.active_count(), sys.stdin.read()], sys.stdout)
sys.stderr.write("an error")
sys.exit(7)
"""


@pytest.mark.parametrize("session", [True, False])
def test_arguments_streams_environment_and_exit_code_are_those_of_an_interpreter(tmp_path: Path, session: bool) -> None:
    (tmp_path / "shows.py").write_text(SHOWS)
    words = [sys.executable, str(tmp_path / "shows.py"), "one", "two"]
    seen = []
    for start in (subprocess.Popen, forked.Popen):
        with start(
            words, env={"ONLY": "this"}, cwd=tmp_path, start_new_session=session, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            output, errors = process.communicate("typed")
        assert (process.returncode, errors) == (7, "an error")
        seen.append(output.replace(str(process.pid), "PID"))
    assert seen[0] == seen[1]
    assert str(os.getpid()) in seen[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_it(number: signal.Signals) -> None:
    # Not one long sleep: a signal just before it, after Python's last check, would be handled after it.
    text = "import time; print('ready', flush=True)\nwhile True: time.sleep(0.01)"
    with forked.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait(120) == -number


def test_a_module_runs_as_main_and_its_exception_is_printed() -> None:
    done = forked.run([sys.executable, "-m", "edgecam_core.doctor"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "IndexError: list index out of range"


@pytest.mark.parametrize("start", [subprocess.Popen, forked.Popen])
def test_a_test_that_fails_does_not_wait_for_its_program(start: type[subprocess.Popen[bytes]]) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(1000)"]
    with pytest.raises(ZeroDivisionError), start(command) as process:
        raise ZeroDivisionError
    assert process.returncode == -signal.SIGKILL
