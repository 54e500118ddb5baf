"""scripts/run_parts.py: every part runs, the table counts what pytest reported."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("run_parts", ROOT / "scripts" / "run_parts.py")
assert spec is not None
assert spec.loader is not None
run_parts = importlib.util.module_from_spec(spec)
sys.modules["run_parts"] = run_parts
spec.loader.exec_module(run_parts)
FREE = run_parts.free_leftovers

MAKEFILE = """
PARALLEL = -p no:doctest
lint:
	@echo nothing wrong
docs:
	@echo built
types:
	@echo src/x.py:1: error: it is wrong; exit 1
unit:
	@{python} -m pytest -q -c pytest.ini $(PARALLEL) unit_test.py $(PYTEST_ARGS)
node:
	@{python} -m pytest -q -c pytest.ini $(PARALLEL) node_test.py $(PYTEST_ARGS)
launch-tests:
	@exit 3
training-tests:
	@{python} -m pytest -q -c pytest.ini $(PARALLEL) unit_test.py $(PYTEST_ARGS)
"""
UNIT = """
import os, pytest
def test_passes(): pass
@pytest.mark.skipif("EDGECAM_TORCH" not in os.environ, reason="needs PyTorch")
def test_elsewhere(): pass
def test_nowhere(): pytest.skip("needs an NVIDIA GPU")
"""
NODE = """
import pytest
@pytest.fixture
def broken(): raise RuntimeError("broken")
def test_fails(): assert 1 == 2
def test_breaks(broken): pass
@pytest.mark.parametrize("i", range(3))
def test_passes(i): pass
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    python = sys.executable
    makefile = MAKEFILE.format(python=python).replace("training-tests:\n\t@", "training-tests:\n\t@EDGECAM_TORCH=1 ")
    (tmp_path / "Makefile").write_text(makefile)
    (tmp_path / "pytest.ini").write_text("[pytest]\ncache_dir = log/pytest\n")
    (tmp_path / "unit_test.py").write_text(UNIT)
    (tmp_path / "node_test.py").write_text(NODE)
    monkeypatch.setattr(run_parts, "ROOT", tmp_path)
    monkeypatch.setattr(run_parts, "free_leftovers", lambda: None)
    for name in ("PARTS", "PYTEST_ARGS", "PYTEST_ADDOPTS", "MAKEFLAGS", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # a second less for each pytest run
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], parts: str) -> tuple[int, list[str]]:
    monkeypatch.setattr(sys, "argv", ["run_parts.py", "--parts", parts])
    code = run_parts.main()
    return code, capfd.readouterr().out.rstrip("\n").splitlines()


def test_all_parts_run_even_if_some_fail(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    code, lines = run(monkeypatch, capfd, "lint types unit node launch-tests training-tests")
    assert code == 1
    rows = {words[0]: words[1:4] for line in lines if len(words := line.split()) == 5 and words[1].isdigit()}
    assert rows == {
        "lint": ["1", "0", "0"],
        "types": ["0", "1", "0"],
        "unit": ["1", "0", "1"],  # the skip that the training part ran is not counted
        "node": ["3", "2", "0"],
        "launch-tests": ["0", "1", "0"],
        "training-tests": ["2", "0", "0"],
    }
    assert "    1  needs an NVIDIA GPU" in lines
    assert not [line for line in lines if "needs PyTorch" in line and line.startswith("   ")]
    assert any(line.startswith("  node: node_test::test_fails") for line in lines)
    assert lines[-1] == "7 passed, 4 failed, 1 skipped"


MEETING = """
import time
from pathlib import Path
def test_meets_the_other_part():
    Path("{mine}").touch()
    deadline = time.monotonic() + 60
    while not Path("{other}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
"""


def test_parts_that_use_ros_run_alongside_the_others_and_print_in_order(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "unit_test.py").write_text(MEETING.format(mine="unit", other="node"))
    (project / "node_test.py").write_text(MEETING.format(mine="node", other="unit"))
    code, lines = run(monkeypatch, capfd, "lint unit node types")
    assert (code, lines[-1]) == (1, "3 passed, 1 failed, 0 skipped")
    printed = ["==== lint ====", "nothing wrong", "==== unit ====", "==== node ====", "==== types ====", "part"]
    at = [next(i for i, line in enumerate(lines) if line.startswith(text)) for text in printed]
    assert at == sorted(at)
    assert "1 passed" in "".join(lines[at[3] : at[4]])
    assert "src/x.py:1: error: it is wrong" in lines[at[4] : at[5]]


def test_the_longest_parts_begin_and_a_free_lane_takes_the_next(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The unit part waits until the node part has ended and lint has begun after it; that needs one lane for both."""
    waits = f"until [ -e $@.go ]; do sleep 0.02; done; rm $@.go; {sys.executable} -m pytest -q -c pytest.ini"
    (project / "Makefile").write_text(
        f"lint:\n\t@echo lint >>order; touch unit.go\n"
        f"unit:\n\t@echo unit >>order; touch node.go; {waits} unit_test.py $(PYTEST_ARGS)\n"
        f"node:\n\t@{waits} unit_test.py $(PYTEST_ARGS); echo node >>order; touch launch-tests.go\n"
        f"launch-tests:\n\t@{waits} unit_test.py $(PYTEST_ARGS); echo launch >>order\n"
    )
    code, lines = run(monkeypatch, capfd, "lint unit node launch-tests")
    assert (code, lines[-1]) == (0, "4 passed, 0 failed, 2 skipped")
    assert (project / "order").read_text().split() == ["unit", "node", "launch", "lint"]


def test_a_run_without_failures_succeeds(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    code, lines = run(monkeypatch, capfd, "lint unit")
    assert (code, lines[-1]) == (0, "2 passed, 0 failed, 2 skipped")


def test_the_site_is_skipped_with_a_reason_where_its_generator_does_not_run(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    code, lines = run(monkeypatch, capfd, "lint docs")
    assert (code, lines[-1]) == (0, "2 passed, 0 failed, 0 skipped")
    monkeypatch.setattr(run_parts, "DOCS_PYTHON", (9, 0))
    code, lines = run(monkeypatch, capfd, "lint docs")
    assert (code, lines[-1]) == (0, "1 passed, 0 failed, 1 skipped")
    assert "    1  the site's generator needs Python 3.11" in lines


def test_an_unknown_part_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARTS", "lint unti")
    monkeypatch.setattr(sys, "argv", ["run_parts.py"])
    with pytest.raises(SystemExit, match="no part of the suite: unti; the parts are lint types docs"):
        run_parts.main()


def test_a_part_without_tests_fails(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "node_test.py").write_text("import pytest\ndef test_x(): pytest.skip('needs a network')\n")
    code, lines = run(monkeypatch, capfd, "node")
    assert (code, lines[-1]) == (1, "0 passed, 1 failed, 1 skipped")


UNSTABLE = """
from pathlib import Path
def test_passes(): pass
def test_passes_at_the_second_try():
    first = not Path("tried").exists()
    Path("tried").touch()
    assert not first
def test_always_fails(): assert 1 == 2
"""


def test_a_test_that_fails_once_is_listed_and_one_that_fails_twice_fails(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "node_test.py").write_text(UNSTABLE)
    code, lines = run(monkeypatch, capfd, "unit node")
    assert (code, lines[-1]) == (1, "3 passed, 1 failed, 2 skipped")
    assert any("1 failed, 1 passed, 1 deselected" in line for line in lines), "only what failed runs again"
    assert lines[lines.index("failed:") + 1] == "  node: node_test::test_always_fails"
    begin = next(i for i, line in enumerate(lines) if line.startswith("unstable"))
    assert lines[begin + 1] == "  node: node_test::test_passes_at_the_second_try"
    (project / "node_test.py").write_text(UNSTABLE.partition("def test_always")[0])
    (project / "tried").unlink()
    code, lines = run(monkeypatch, capfd, "node")
    assert (code, lines[-1]) == (0, "2 passed, 0 failed, 0 skipped")


def test_many_failures_get_no_second_run(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    failing = "import pytest\n@pytest.mark.parametrize('i', range(6))\ndef test_fails(i): assert i > 9\n"
    (project / "node_test.py").write_text(failing)
    code, lines = run(monkeypatch, capfd, "node")
    assert (code, lines[-1]) == (1, "0 passed, 6 failed, 0 skipped")
    assert not [line for line in lines if "running again" in line]


LEAVING = """
import os, subprocess, sys, time
from pathlib import Path
LISTENS = (
    "import os, socket, time; os.setsid(); s = socket.create_server(('127.0.0.1', 0)); "
    "open('ignored', 'w').close(); time.sleep(600)"
)
def test_leaves_a_process():
    # As a daemon: its parent is gone, and it has neither our session nor our environment.
    subprocess.run(["sh", "-c", f'exec 1>&- 2>&-; env -i {sys.executable} -c "$0" &', LISTENS], check=True)
    while not Path("ignored").exists():
        time.sleep(0.05)
def test_leaves_shared_memory():
    Path(os.environ["LEFTOVERS_SHARED_MEMORY"], "left").write_bytes(b"x")
def test_leaves_a_file():
    Path("left.txt").touch()
def test_leaves_a_temporary_folder(tmp_path):
    import tempfile
    Path(tempfile.mkdtemp(prefix="edgecam-left-"), "x").touch()
    assert tempfile.gettempdir() not in str(tmp_path)
"""


def test_leftovers_fail_a_part_and_its_processes_are_ended(
    project: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (project / "node_test.py").write_text(LEAVING)
    (project / ".gitignore").write_text("ignored\n__pycache__\ncache\n*.xml\n*.left\n")
    subprocess.run("git init -q && git add -A", shell=True, cwd=project, check=True)
    monkeypatch.setenv("LEFTOVERS_GRACE", "0.5")
    # Not /dev/shm: this file would fail the part that ends just then.
    monkeypatch.setenv("LEFTOVERS_SHARED_MEMORY", str(tmp_path_factory.mktemp("memory")))
    someone_else = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        code, lines = run(monkeypatch, capfd, "node unit")
    finally:
        someone_else.kill()
        someone_else.wait()
    left = [line.removeprefix("  node: left behind: ") for line in lines if "left behind" in line]
    kinds = sorted(" ".join(line.split()[:2]) for line in left)
    assert kinds[0].startswith("file /"), lines
    assert "/edgecam-left-" in kinds[0]
    assert not Path(kinds[0].removeprefix("file ")).parent.exists()
    assert kinds[1] == "file ??"
    assert kinds[2].startswith("port ")
    assert kinds[3].startswith("process ")
    assert kinds[4:] == ["shared memory"]
    assert (code, lines[-1]) == (1, "5 passed, 5 failed, 2 skipped")
    assert sum("left behind" in line for line in lines) == 5, "what unit found beside node counts once"
    pid = next(int(line.split()[1].rstrip(":")) for line in left if line.startswith("process"))
    assert not Path(f"/proc/{pid}").exists()


def test_shared_memory_of_another_program_that_goes_away_is_not_left_behind(tmp_path: Path) -> None:
    leftovers = [sys.executable, ROOT / "scripts" / "leftovers.py", tmp_path / "left"]
    memory = tmp_path / "memory"
    memory.mkdir()
    environment = {**os.environ, "LEFTOVERS_GRACE": "600", "LEFTOVERS_SHARED_MEMORY": str(memory)}
    watched = subprocess.Popen([*leftovers, "sh", "-c", "touch memory/other began"], cwd=tmp_path, env=environment)
    wait_until((tmp_path / "began").exists, 60)
    (memory / "other").unlink()
    assert watched.wait(300) == 0
    assert (tmp_path / "left").read_text() == ""


def test_memory_of_a_killed_node_is_freed_before_the_first_part(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_parts, "free_leftovers", FREE)
    (project / "src").symlink_to(ROOT / "src")
    segment = Path(f"/dev/shm/fastdds_{os.getpid():016x}")
    for path in (segment, Path(f"{segment}_el")):  # no process holds the lock of the second one
        path.touch()
    (project / "Makefile").write_text(f"lint:\n\t@test ! -e {segment}\n")
    code, _ = run(monkeypatch, capfd, "lint")
    assert code == 0
