"""Temporary folders of killed processes are found and removed; those of running processes and of others stay."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from edgecam_core.doctor import Level, temporary_folders
from edgecam_core.temporary import IN_USE, TemporaryFolder

HOLDER = """
import sys
from pathlib import Path
from edgecam_core.temporary import TemporaryFolder
with TemporaryFolder("test") as folder:
    Path(folder, "model.onnx").write_bytes(bytes(3 * 2**20))
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@contextmanager
def holder() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that holds a temporary folder until its standard input closes."""
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())


def test_a_folder_is_removed_at_the_end_of_its_block(temporary: Path) -> None:
    with TemporaryFolder("test") as folder:
        assert Path(folder).parent == temporary
        assert temporary_folders.stale(temporary) == []
    assert list(temporary.iterdir()) == []


def test_only_what_a_killed_process_left_is_removed(temporary: Path) -> None:
    with holder() as (living, used), holder() as (killed, left):
        killed.kill()
        killed.wait()
        assert temporary_folders.stale(temporary) == [left]
        (finding,) = temporary_folders.check()
        assert finding.level == Level.WARNING
        assert "1 temporary folder of killed processes: 3 MiB" in finding.text
        done = subprocess.run([*finding.remedy.partition("#")[0].split()], check=True, capture_output=True, text=True)
        assert f"removed 1 temporary folder of killed processes, 3 MiB of {temporary}\n" in done.stdout
        assert list(temporary.iterdir()) == [used]
        assert living.poll() is None
    assert list(temporary.iterdir()) == []
    (finding,) = temporary_folders.check()
    assert finding.level == Level.OK


def test_what_is_not_ours_stays(temporary: Path) -> None:
    (temporary / "edgecam-photos").mkdir()  # somebody's own folder
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / IN_USE).touch()
    (temporary / "edgecam-link").symlink_to(elsewhere)
    (temporary / "edgecam-lock").mkdir()
    (temporary / "edgecam-lock" / IN_USE).symlink_to(elsewhere / IN_USE)
    before = sorted(os.walk(temporary))
    assert temporary_folders.free() == ""
    assert sorted(os.walk(temporary)) == before
