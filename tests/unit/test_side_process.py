"""Functions in a process of their own: priority, results, reasons of failure, and the end with the parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from edgecam_core.errors import EdgecamError
from edgecam_core.inference import artifacts
from edgecam_core.inference.runner import Progress, silent
from edgecam_core.models import opening
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.side_process import SideProcess
from side_tasks import crash, describe, refuse, stumble, wait
from tiny_models import color_detector
from waiting import wait_until


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The new process finds side_tasks."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


def test_a_function_runs_in_another_session_with_low_priority(caplog: pytest.LogCaptureFixture) -> None:
    process, said = SideProcess("a test", describe, {"word": "done"}), []
    found = process.result(said.append)
    assert found["pid"] == process.pid != os.getpid()
    assert found["session"] == process.pid  # its own group for the scheduler, and Ctrl-C does not reach it
    assert found["nice"] == max(10, os.getpriority(os.PRIO_PROCESS, 0))
    assert found["word"] == "done"
    assert said == ["half"]
    assert [record.getMessage() for record in caplog.records] == ["nearly done"]


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (refuse, "parameter 'precision' is 'int7': must be int8"),
        (stumble, "ZeroDivisionError: a bug"),
        (crash, "the process for a test ended with signal SIGSEGV: the library's last words"),
    ],
)
def test_what_ends_the_process_is_the_reason(task: Any, reason: str) -> None:
    with pytest.raises(EdgecamError) as caught:
        SideProcess("a test", task, {}).result(silent)
    assert str(caught.value) == reason


def test_progress_can_cancel_and_close_ends_the_process() -> None:
    def cancel(_text: str) -> None:
        raise EdgecamError("closing")

    process = SideProcess("a test", wait, {})
    with pytest.raises(EdgecamError, match="closing"):
        process.result(cancel)
    assert not Path(f"/proc/{process.pid}").exists()
    process = SideProcess("a test", wait, {})
    process.close()
    with pytest.raises(EdgecamError, match="ended with signal SIGTERM"):
        process.result(silent)


def test_the_process_ends_with_its_parent_even_if_that_is_killed() -> None:
    program = (
        "import side_tasks as t; from edgecam_core.side_process import SideProcess\n"
        "p = SideProcess('a test', t.wait, {})\n"
        "p.result(lambda _text: print(p.pid, flush=True))"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    wait_until(lambda: not _alive(child), 60, "the end of the process")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_model_is_built_in_another_process_while_one_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = DetectorSettings(
        model=str(color_detector(tmp_path / "m.onnx")), engine_cache=str(tmp_path / "engines"),
        backend="onnxruntime", precision="fp16",
    )  # fmt: skip
    here = os.getpid()
    monkeypatch.setattr(artifacts.Artifact, "_store", lambda *_: pytest.fail(f"built in process {here}"))
    opening.open_beside(settings).close()
    assert len(list((tmp_path / "engines").glob("m-fp16-*.onnx"))) == 1
    assert any(record.getMessage().startswith("building m-fp16-") for record in caplog.records)
    monkeypatch.setattr(opening, "SideProcess", lambda *_: pytest.fail("nothing is missing"))
    opening.open_beside(settings).close()


def test_a_process_that_dies_while_building_is_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = DetectorSettings(
        model=str(color_detector(tmp_path / "m.onnx")), engine_cache=str(tmp_path), precision="fp16"
    )

    class Killed(SideProcess):
        def result(self, progress: Progress) -> Any:
            os.kill(self.pid, signal.SIGKILL)  # as when the memory is short
            return super().result(progress)

    monkeypatch.setattr(opening, "SideProcess", Killed)
    with pytest.raises(EdgecamError, match=r"^the process for building a model ended with signal SIGKILL"):
        opening.open_beside(settings)
