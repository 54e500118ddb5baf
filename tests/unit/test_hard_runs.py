"""scripts/test_hard.py: one row for each run; a second start on the same commit makes only the missing runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
MAKEFILE = f"unit:\n\t@{sys.executable} -m pytest -q $(PYTEST_ARGS) unit_test.py\n"
TEST = """
from pathlib import Path
def test_counts_its_runs():
    with Path("runs").open("a") as file:
        file.write("x")
"""


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=edgecam", "-c", "user.email=edgecam@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    for name in ("test_hard.py", "run_parts.py", "leftovers.py"):
        shutil.copy(SCRIPTS / name, tmp_path / "scripts")
    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / "unit_test.py").write_text(TEST)
    (tmp_path / ".gitignore").write_text("log/\nruns\n__pycache__/\n.pytest_cache/\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def rows(project: Path, runs: int) -> list[str]:
    """The names in the final table, which a busy process does not change."""
    quiet = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "MAKE"))}
    settings = {"PARTS": "unit", "HARD_RUNS": str(runs), "HARD_BUSY": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, str(project / "scripts" / "test_hard.py")]
    done = subprocess.run(command, env=quiet | settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    table = done.stdout.rstrip().rpartition("\nrun  ")[2].splitlines()
    assert table[-1] == f"{runs + 2} passed, 0 failed, 0 skipped"
    return [line[:28].rstrip() for line in table[1:-2]]


def test_an_interrupted_series_continues_on_the_same_commit_only(project: Path) -> None:
    first = rows(project, 0)
    assert first[0] == "one core"
    assert first[1].startswith("random order ")
    assert rows(project, 1) == ["1, 1 busy processes", *first]
    assert len((project / "runs").read_text()) == 3

    (project / "unit_test.py").write_text(f"{TEST}# changed\n")
    rows(project, 0)
    rows(project, 0)  # of changed files nothing is known
    assert len((project / "runs").read_text()) == 7
    git(project, "commit", "-qam", "second")
    rows(project, 0)
    assert len((project / "runs").read_text()) == 9
