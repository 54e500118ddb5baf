"""The checks of `make lint` find banned words, repeated class names, imports against the direction and circles."""

from __future__ import annotations

import subprocess
from pathlib import Path

import checkout
import pytest
import yaml

from scripts import lint_classes, lint_imports, lint_words

ROOT = Path(__file__).parents[2]
BANNED, ALLOWED = lint_words.rules()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("src/a.py", "def next_picture(): ..."),
        ("src/a.py", "# two Pictures"),
        ("src/a.py", "class PictureCache: ..."),
        ("src/picture_cache.py", ""),
        ("src/a.py", "self.tap = 1"),
        ("src/a.py", "class ConnectionGuard: ..."),
        ("docs/a.md", "It runs for ever."),
        ("README.md", "the tally of packets"),
    ],
)
def test_a_banned_word_is_found(path: str, text: str) -> None:
    assert len(lint_words.findings(path, text, BANNED, ALLOWED)) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("src/a.py", "# a Picture Loss Indication (RFC 4585)"),
        ("src/a.py", "def picture_loss_indication(): ..."),
        ("src/a.py", "text = 'tee name=tap'  # on a Jetson board"),
        ("src/a.py", "keyboard = snapshot"),
        ("docs/a.md", "<!-- vocabulary -->\n| frame | picture |\n<!-- /vocabulary -->"),
    ],
)
def test_terms_of_standards_and_longer_words_pass(path: str, text: str) -> None:
    assert lint_words.findings(path, text, BANNED, ALLOWED) == []


def write(root: Path, name: str, text: str) -> None:
    package, *rest = name.split(".")
    path = root.joinpath("src", package, package, *rest).with_suffix(".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("module", "text", "imported"),
    [
        ("edgecam_core.types", "import rclpy", "rclpy"),
        ("edgecam_core.types", "def f():\n    from sensor_msgs.msg import Image", "sensor_msgs.msg"),
        ("edgecam_core.media.nal", "from edgecam_core.rtp import packet", "edgecam_core.rtp"),
        ("edgecam_core.rtp.sender", "from edgecam_core.camera.plan import compose", "edgecam_core.camera.plan"),
        ("edgecam_core.inference.runner", "import edgecam_core.models.zoo", "edgecam_core.models.zoo"),
        ("edgecam_rtp.node", "from edgecam_camera.node import CameraNode", "edgecam_camera.node"),
    ],
)
def test_an_import_against_the_direction_is_found(tmp_path: Path, module: str, text: str, imported: str) -> None:
    write(tmp_path, module, text)
    assert [line for line in lint_imports.findings(tmp_path) if line.endswith(f"{module} must not import {imported}")]


def test_an_import_cycle_is_found_also_inside_functions(tmp_path: Path) -> None:
    write(tmp_path, "edgecam_core.a", "from edgecam_core import b")
    write(tmp_path, "edgecam_core.b", "def f():\n    from edgecam_core.a import x")
    assert "circle" in lint_imports.findings(tmp_path)[0]


def test_a_class_name_with_two_definitions_is_found() -> None:
    modules = [
        ("src/a.py", "class Sample: ..."),
        ("src/b.py", "if sys.platform == 'linux':\n    class Sample: ...\nclass Other: ..."),
        ("tests/c.py", "class TestEnd: ..."),
        ("tests/d.py", "class TestEnd: ...\ndef f():\n    class Sample: ..."),
    ]
    (found,) = lint_classes.findings(modules)
    assert found.startswith("src/a.py: class Sample is also defined in src/b.py")


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("Short subject\n\nThe reason.\n", ""),
        ("# comment of git\nShort subject\n\nThe reason.\n# ------------------------ >8 ---\ndiff", ""),
        ("Merge branch 'a'\n", ""),
        (f"{'x' * 73}\n\nThe reason.\n", "73 characters"),
        ("Short subject\nThe reason.\n", "second line"),
        ("Short subject\n", "give the reason"),
        ("Short subject\n\n# only a comment\n", "give the reason"),
    ],
)
def test_commit_message_has_a_short_subject_and_a_reason(tmp_path: Path, message: str, problem: str) -> None:
    path = tmp_path / "COMMIT_EDITMSG"
    path.write_text(message)
    ended = subprocess.run([ROOT / "scripts" / "lint_commit", path], capture_output=True, text=True, check=False)
    assert bool(ended.returncode) == bool(problem)
    assert problem in ended.stderr


def test_the_files_are_those_of_git_and_are_found_without_it(tmp_path: Path) -> None:
    for name in (
        ".git/config",
        ".venv/lib/a.py",
        ".venv-docs/b.py",
        "src/build/c.py",
        "build/d.py",
        "src/__pycache__/e.pyc",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".gitignore").write_bytes((checkout.ROOT / ".gitignore").read_bytes())
    assert list(checkout.files(".", root=tmp_path)) == [".gitignore", "src/build/c.py"]


def test_pre_commit_runs_what_make_lint_runs() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    entries = [hook["entry"] for hook in repository["hooks"] if "stages" not in hook]
    planned = subprocess.run(
        ["make", "--dry-run", "--silent", "lint"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert entries == ["scripts/lint"]
    assert planned.stdout.splitlines()[-1] == "scripts/lint"
