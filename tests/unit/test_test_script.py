"""scripts/test: what it installs before the parts run, and what it refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import psutil
from waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]


def run_test_script(folder: Path, free: int, parts: str = "", **programs: str) -> subprocess.CompletedProcess[str]:
    """scripts/test in a folder with this much disk free, in MB, and with other set-up scripts."""
    programs = {"setup-training": "", ".venv/bin/python3": 'echo "parts: $PARTS"', **programs}
    scripts = {f"scripts/{name}" if name.startswith("setup") else name: text for name, text in programs.items()}
    scripts["bin/df"] = f"echo Filesystem; echo /dev/x 99999 9000 {free} 90% /"
    for name, text in scripts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    shutil.copy(ROOT / "scripts" / "test", folder / "scripts" / "test")
    environment = {**os.environ, "PARTS": parts, "PATH": f"{folder}/bin:{os.environ['PATH']}"}
    command = [folder / "scripts" / "test"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


WAIT = "until [ -s {0} ]; do sleep 0.05; done"


def test_pytorch_is_installed_alongside_the_rest(tmp_path: Path) -> None:
    meeting = {"setup": f"echo x >a; {WAIT.format('b')}", "setup-training": f"echo x >b; {WAIT.format('a')}; echo met"}
    done = run_test_script(tmp_path, 99999, **meeting)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-2:] == ["met", "parts: "]


def test_pytorch_is_left_out_where_no_part_needs_it(tmp_path: Path) -> None:
    scripts = {"setup": "echo installing", "setup-training": "echo PyTorch >b"}
    done = run_test_script(tmp_path, 99999, "unit node", **scripts)
    assert done.stdout.splitlines()[-2:] == ["installing", "parts: unit node"]
    assert not (tmp_path / "b").exists()


def test_a_failed_set_up_also_ends_the_installation_of_pytorch(tmp_path: Path) -> None:
    scripts = {"setup": f"{WAIT.format('pid')}; echo why >&2; exit 3", "setup-training": "echo $$ >pid; sleep 600; :"}
    done = run_test_script(tmp_path, 99999, **scripts)
    assert done.returncode == 3
    assert "why" in done.stderr
    assert "====" not in done.stdout
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_too_little_disk_ends_with_one_line_before_anything_is_installed(tmp_path: Path) -> None:
    done = run_test_script(tmp_path, 999, setup="echo installing")
    assert done.returncode == 1
    assert "PyTorch" in done.stdout
    assert "6300 MB of disk" in done.stdout
    assert done.stderr.count("\n") == 1
    assert "has 999 MB of disk free; set-up and tests need" in done.stderr
    assert "installing" not in done.stdout
