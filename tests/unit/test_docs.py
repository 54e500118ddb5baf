"""Every command on a page is valid. Links are checked by `make docs` and scripts/lint_links.py.

Every command of a page (bash blocks, indented lines, and code inside the text that begins like one) is checked against
what it calls: make targets, launch files and their arguments, executables and parameters, ``edgecam`` with its own
argument parser, GStreamer elements, container stages. They are run in tests/launch, tests/node and the tests of the
commands. A command of any other kind fails here unless its page says why it is not run, anywhere in it:
``<!-- not run: systemctl, ros2 launch other_package: reason -->`` names the commands by their first words.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from edgecam_core.media import gst

ROOT = Path(__file__).resolve().parents[2]
SKIP = {"build", "install", "log", ".venv", "runs", "data", "reference"}  # docs/reference is generated
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not (
        set(path.relative_to(ROOT).parts) & SKIP
        or path.name == "CHANGELOG.md"
        or path.relative_to(ROOT).parts[0].startswith(".")
    )
)
ROS2_VERBS = {
    "launch": set(), "run": set(), "topic": {"list", "echo", "hz", "bw", "info", "pub"}, "node": {"list", "info"},
    "param": {"list", "get", "set", "dump", "describe"}, "lifecycle": {"get", "set", "list"}, "service": {"call"},
    "interface": {"show"}, "pkg": {"list", "prefix"}, "security": {"create_keystore", "create_enclave"},
    "daemon": {"start", "stop", "status"},
}  # fmt: skip


def ident(path: Path) -> str:
    return str(path.relative_to(ROOT))


def without_code(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def commands(page: Path) -> Iterator[list[str]]:
    """Every command of a page's bash blocks, indented lines and inline code, split into words as the shell does."""
    text = page.read_text()
    plain = without_code(text)
    blocks = re.findall(r"```(?:bash|sh|console)\n(.*?)```", text, re.DOTALL)
    indented = re.findall(r"^ {4}(?! *`).*\n", plain, re.MULTILINE)  # not a list item that begins with code
    inline = [code for code in re.findall(r"`([^`\n]+)`", plain) if is_command(code)]
    for block in [*blocks, "".join(indented), *inline]:
        for line in block.replace("\\\n", " ").splitlines():
            yield from split(line)


def is_command(code: str) -> bool:
    """Whether inline code is a complete command, not only a command's name."""
    words = code.split()
    known = words[0] in {*CHECKS, "sudo", "pip", "less", "apt-get", "journalctl", "systemctl"}
    return known and "..." not in words and (len(words) > 2 or words[0] in {"make", "less"})


def split(line: str) -> Iterator[list[str]]:
    """The commands of one line of shell: a pipeline has several."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("|&;"):
            if words := without_environment(words):
                yield words
            words = []
        else:
            words.append(word)


def not_run(page: Path) -> list[str]:
    """The first words of the commands that a page marks as not run, each with a reason."""
    marks = re.findall(r"<!-- not run: ([^:]+): \S.*?-->", page.read_text(), re.DOTALL)
    return [name.strip() for mark in marks for name in mark.split(",")]


def without_environment(words: list[str]) -> list[str]:
    """Without leading NAME=value, sudo and the like."""
    while words and (re.match(r"\w+=", words[0]) or words[0] in {"sudo", "time", "exec"}):
        words = words[1:]
    return words


def check_make(words: list[str]) -> None:
    known = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {word for word in words if "=" not in word and not word.startswith("-")} <= known


def check_ros2(words: list[str]) -> None:
    verb = words[0]
    assert verb in ROS2_VERBS
    if ROS2_VERBS[verb]:
        assert words[1] in ROS2_VERBS[verb]
    if verb == "launch":
        assert words[1] == "edgecam_bringup", "a launch file of another package"
        check_launch(words[2], words[3:])
    if verb == "run":
        assert f'"{words[2]} = ' in (ROOT / "src" / words[1] / "setup.py").read_text()
    if verb == "param" and words[1] in {"get", "set"} and len(words) > 2:
        assert words[3] in {key for path in (ROOT / "config").glob("*.yaml") for key in parameters(path)}, words[3]


def parameters(path: Path) -> set[str]:
    content = yaml.safe_load(path.read_text()) or {}
    return set(content.get("/**", {}).get("ros__parameters", {}))


def check_launch(name: str, words: list[str]) -> None:
    file = ROOT / "launch" / name
    assert file.exists()
    declared = {arg.attrib["name"] for arg in ElementTree.parse(file).getroot().iter("arg")}
    given = {word.split(":=")[0] for word in words if ":=" in word}
    assert given <= declared, f"{name} has no {given - declared}"


def check_edgecam(words: list[str]) -> None:
    if words[0] == "--help":
        return
    files = list((ROOT / "src").glob(f"*/edgecam_*/cli/{words[0].replace('-', '_')}.py"))
    assert len(files) == 1, f"edgecam {words[0]}"
    module = importlib.import_module(f"{files[0].parents[1].name}.cli.{files[0].stem}")
    parser = argparse.ArgumentParser(prog=f"edgecam {words[0]}", exit_on_error=False)
    module.add_arguments(parser)
    with contextlib.suppress(SystemExit if "--help" in words else ()):
        parser.parse_args([word for word in words[1:] if word not in {">", "2>&1"}])


def check_docker(words: list[str]) -> None:
    text = (ROOT / "docker" / "Dockerfile").read_text()
    for option, value in pairwise(words):
        if option == "-f":
            assert (ROOT / value).exists()
        if option == "--target":
            assert f" AS {value}\n" in text
        if option == "--profile" or (words[0] == "compose" and option in {"exec", "--build"}):
            assert value in (ROOT / "docker" / "compose.yaml").read_text()


def check_source(words: list[str]) -> None:
    assert words[0] in {"install/setup.bash", "/opt/ros/$ROS_DISTRO/setup.bash", ".venv/bin/activate"}


def check_python(words: list[str]) -> None:
    if words and words[0].endswith(".py") and not words[0].startswith("/"):
        assert (ROOT / words[0]).exists(), words[0]


def check_gstreamer(words: list[str]) -> None:
    pytest.importorskip("gi", reason="needs GStreamer's Python binding")
    gst.require_elements(" ".join(words))


def check_export(words: list[str]) -> None:
    assert "=" in words[0]


def check_run(*command: str) -> Callable[[list[str]], None]:
    def check(words: list[str]) -> None:
        arguments = words[: words.index(">")] if ">" in words else words
        assert subprocess.run([*command, *arguments], capture_output=True).returncode == 0

    return check


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "make": check_make,
    "ros2": check_ros2,
    "edgecam": check_edgecam,
    "docker": check_docker,
    "source": check_source,
    "python3": check_python,
    "python": check_python,
    "gst-launch-1.0": check_gstreamer,
    "openssl": check_run("openssl"),
    "echo": check_run("echo"),
    "export": check_export,
}
SHOWN = [
    pytest.param(page, words, id=f"{ident(page)}: {' '.join(words)[:70]}") for page in PAGES for words in commands(page)
]


def test_there_are_commands_to_check() -> None:
    assert len(SHOWN) > 100


@pytest.mark.parametrize(("page", "words"), SHOWN)
def test_a_command_calls_what_exists_or_its_page_gives_the_reason_it_is_not_run(page: Path, words: list[str]) -> None:
    line = " ".join(words)
    if any(line == name or line.startswith(f"{name} ") for name in not_run(page)):
        return
    name = words[0].rpartition("/")[2]
    if name in CHECKS:
        CHECKS[name](words[1:])
    else:
        assert words[0].startswith(("scripts/", "tests/", "./")), f"no test knows this command: {line}"
        assert (ROOT / words[0]).exists()


@pytest.mark.parametrize("page", PAGES, ids=ident)
def test_commands_marked_as_not_run_are_on_the_page(page: Path) -> None:
    lines = [" ".join(words) for words in commands(page)]
    for name in not_run(page):
        assert any(line == name or line.startswith(f"{name} ") for line in lines), name
