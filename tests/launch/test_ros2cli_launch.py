"""The underlay's `ros2 launch`: signals, escalation, respawn, exit codes; no process is left behind.

The expected exit codes and lines are those of launch 3.7.1, except that SIGTERM and SIGKILL leave no orphans here.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from launched import Launched, runs
from waiting import wait_until

RUN = (sys.executable, "-m", "ros2cli", "launch")

STUBBORN = """
import signal, subprocess, sys, time
ignored = [getattr(signal, name) for name in sys.argv[1].split(",")]
for number in ignored:
    signal.signal(number, signal.SIG_IGN)
if len(sys.argv) > 2:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("ready", flush=True)
while True:  # a signal just before one long sleep would be handled after it
    time.sleep(0.01)
"""


@pytest.fixture
def start(tmp_path: Path, launch: Callable[..., Launched]) -> Callable[..., Launched]:
    """Launch a body of XML; `@stubborn` in it is a program that ignores the signals named after it."""
    (tmp_path / "stubborn.py").write_text(STUBBORN)

    def start(body: str, *arguments: str) -> Launched:
        file = tmp_path / "test.launch.xml"
        body = body.replace("@stubborn", f"{sys.executable} {tmp_path}/stubborn.py")
        file.write_text(f"<launch>\n{body}\n</launch>\n")
        return launch(str(file), *arguments, command=RUN)

    return start


def finish(launched: Launched) -> tuple[int, str]:
    code = launched.process.wait(120)
    return code, launched.text()


def pids(launched: Launched) -> list[int]:
    """The PIDs of the processes it has started, in order."""
    return [int(pid) for pid in re.findall(r"process started with pid \[(\d+)\]", launched.text())]


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or not runs(psutil.Process(pid))


@pytest.mark.parametrize(("command", "end"), [("true", "has finished cleanly"), ("false", "has died")])
def test_the_exit_code_is_0_for_any_exit_code_of_the_processes(
    start: Callable[..., Launched], command: str, end: str
) -> None:
    code, text = finish(start(f'<executable cmd="{command}"/>'))
    assert code == 0
    assert f"]: process {end} [pid " in text


def test_lines_are_prefixed_and_follow_the_output_attribute(start: Callable[..., Launched]) -> None:
    code, text = finish(
        start(
            """<executable name="a" output="screen" cmd="sh -c 'echo out; printf no-end; echo err >&amp;2'"/>
               <executable name="b" cmd="sh -c 'echo hidden; echo shown >&amp;2'"/>"""
        )
    )
    assert code == 0
    lines = text.splitlines()
    for line in ("[a-1] out", "[a-1] no-end", "[a-1] err", "[b-2] shown"):
        assert line in lines
    assert "hidden" not in text
    match = re.search(r"All log files can be found below (.+)", text)
    assert match is not None
    log = (Path(match.group(1)) / "launch.log").read_text()
    assert "[b-2] hidden" in log
    assert "[a-1] out" not in log


def test_a_mistake_starts_nothing(start: Callable[..., Launched], tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    code, text = finish(start(f'<executable cmd="touch {marker}"/>\n<log message="$(var not_set)"/>'))
    assert code == 1
    assert "test.launch.xml:3: <log>: attribute 'message': launch configuration 'not_set'" in text
    assert not marker.exists()


@pytest.mark.parametrize("whole_group", [True, False])
def test_sigint_reaches_every_process_once(start: Callable[..., Launched], whole_group: bool) -> None:
    count = """
import signal, sys, time
seen = []
signal.signal(signal.SIGINT, lambda *_: seen.append(1))
print("ready", flush=True)
while not seen:
    time.sleep(0.01)
time.sleep(0.3)
print("signals:", len(seen), flush=True)
"""
    launched = start(f'<executable name="c" output="screen" cmd="{sys.executable} -c \'{_attribute(count)}\'"/>')
    launched.wait_for("ready")
    (os.killpg if whole_group else os.kill)(launched.process.pid, signal.SIGINT)
    code, text = finish(launched)
    assert code == 0
    assert "[WARNING] [launch]: user interrupted with ctrl-c (SIGINT)" in text
    assert "[INFO] [c-1]: sending signal 'SIGINT' to process[c-1]" in text
    assert "[c-1] signals: 1" in text


def _attribute(code: str) -> str:
    """Python code inside an XML attribute, inside single quotes."""
    return code.replace("&", "&amp;").replace('"', "&quot;").replace("\n", "&#10;")


def test_escalation_from_sigint_to_sigterm(start: Callable[..., Launched]) -> None:
    launched = start('<executable name="s" output="screen" cmd="@stubborn SIGINT" sigterm_timeout="0.5"/>')
    launched.wait_for("ready")
    assert launched.stop() == 0
    text = launched.text()
    assert "failed to terminate '0.5' seconds after receiving 'SIGINT', escalating to 'SIGTERM'" in text
    assert "process has died [pid" in text
    assert "exit code -15" in text


def test_escalation_to_sigkill_takes_the_grandchildren_too(start: Callable[..., Launched]) -> None:
    launched = start(
        '<executable name="s" output="screen" cmd="@stubborn SIGINT,SIGTERM with-child"/>',
        "sigterm_timeout:=0.3",
        "sigkill_timeout:=0.3",
    )
    launched.wait_for("ready")
    assert launched.stop() == 0
    assert "escalating to 'SIGKILL'" in launched.text()
    assert "exit code -9" in launched.text()
    assert launched.orphans() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_ends_everything_and_is_passed_on(start: Callable[..., Launched], number: signal.Signals) -> None:
    launched = start('<executable cmd="sleep 600"/><executable cmd="@stubborn SIGTERM" output="screen"/>')
    launched.wait_for("ready")
    launched.remember_children()
    os.kill(launched.process.pid, number)
    assert launched.process.wait(120) == -number
    assert len(pids(launched)) == 2
    assert launched.orphans() == []


def test_a_killed_launch_leaves_no_orphans(start: Callable[..., Launched]) -> None:
    launched = start('<executable cmd="sleep 600"/><executable cmd="@stubborn SIGTERM child" output="screen"/>')
    launched.wait_for("ready")
    launched.remember_children()
    assert len(launched.children) == 4  # two processes, a grandchild, and the guardian
    os.killpg(launched.process.pid, signal.SIGKILL)
    assert launched.process.wait(120) == -signal.SIGKILL
    assert launched.orphans() == []


def test_processes_that_a_process_leaves_behind_are_ended(start: Callable[..., Launched]) -> None:
    launched = start("""<executable output="screen" cmd="sh -c 'sleep 600 &amp; echo pid=$! '"/>""")
    code, text = finish(launched)
    assert code == 0
    match = re.search(r"pid=(\d+)", text)
    assert match is not None
    assert gone(int(match.group(1)))


def test_a_required_process_ends_the_launch(start: Callable[..., Launched]) -> None:
    launched = start(
        """<executable name="main" cmd="sh -c 'sleep 0.2; exit 3'" on_exit="shutdown" respawn="true"/>
           <executable cmd="sleep 600"/>"""
    )
    code, text = finish(launched)
    assert code == 0
    assert re.search(r"\[main-1\]: process has died \[pid \d+, exit code 3, cmd 'sh -c sleep 0.2; exit 3'\]\.", text)
    assert "[INFO] [launch]: process[main-1] was required: shutting down launched system" in text
    assert len(pids(launched)) == 2


def test_respawn_a_limited_number_of_times(start: Callable[..., Launched]) -> None:
    launched = start('<executable cmd="false" respawn="true" respawn_delay="0.05" respawn_max_retries="2"/>')
    code, text = finish(launched)
    assert code == 0
    assert len(set(pids(launched))) == 3
    assert text.count("[false-1]: process has died") == 3


def test_sigint_during_the_delay_of_a_respawn(start: Callable[..., Launched]) -> None:
    launched = start('<executable cmd="true" respawn="true" respawn_delay="600"/>')
    launched.wait_for("finished cleanly")
    assert launched.stop() == 0
    assert len(pids(launched)) == 1


def test_sigint_works_although_the_shell_ignores_it(start: Callable[..., Launched], tmp_path: Path) -> None:
    """A shell starts background commands with SIGINT ignored."""
    (tmp_path / "bg.launch.xml").write_text('<launch><executable cmd="sleep 600"/></launch>')
    output = tmp_path / "bg.txt"
    script = f"trap '' INT; exec {' '.join(RUN)} {tmp_path}/bg.launch.xml"
    launched = Launched(["sh", "-c", script], output, dict(os.environ))
    try:
        launched.wait_for("process started")
        assert launched.stop() == 0
        assert "exit code -2" in launched.text()
    finally:
        launched.kill()


def test_a_closed_output_pipe_ends_the_launch(start: Callable[..., Launched], tmp_path: Path) -> None:
    (tmp_path / "loud.launch.xml").write_text(
        """<launch><executable output="screen" cmd="sh -c 'while :; do echo x; sleep 0.05; done'"/></launch>"""
    )
    output = tmp_path / "loud.txt"
    script = f"{' '.join(RUN)} {tmp_path}/loud.launch.xml | head -n 5"
    launched = Launched(["sh", "-c", script], output, dict(os.environ))
    try:
        wait_until(lambda: len(launched.text().splitlines()) == 5, 120, "five lines")
        launched.remember_children()
        launched.process.wait(120)
        assert launched.orphans() == []
    finally:
        launched.kill()


def test_temporary_parameter_files_are_removed(start: Callable[..., Launched], tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\necho "file=$3"; cat "$3"\n')
    program.chmod(0o755)
    body = f'<node exec="{program}" output="screen"><param name="a" value="1"/></node>'
    code, text = finish(start(body))
    assert code == 0
    assert "    a: 1" in text
    match = re.search(r"file=(.+)", text)
    assert match is not None
    assert not Path(match.group(1)).exists()
