"""The pages: links lead somewhere, files that are named exist, and every command shown is one that can be typed.

Commands are checked against what they call: make targets, launch files and their arguments, executables, the options
of ``edgecam``, container stages. Most of them also run: in tests/launch, tests/node and the tests of the commands.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SKIP = {"build", "install", "log", ".venv", "runs", "data"}
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not (set(path.relative_to(ROOT).parts) & SKIP or path.relative_to(ROOT).parts[0].startswith("."))
)
TOP = ("src", "launch", "config", "docs", "docker", "scripts", "tests", "media", "examples", "systemd", "underlay",
       "requirements", "benchmarks", ".github", ".ci")  # fmt: skip
ROS2_VERBS = {
    "launch": set(), "run": set(), "topic": {"list", "echo", "hz", "bw", "info", "pub"}, "node": {"list", "info"},
    "param": {"list", "get", "set", "dump"}, "lifecycle": {"get", "set", "list"}, "service": {"call"},
    "interface": {"show"}, "pkg": {"list", "prefix"}, "security": {"create_keystore", "create_enclave"},
}  # fmt: skip


def ident(path: Path) -> str:
    return str(path.relative_to(ROOT))


def without_code(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    found = set()
    for title in re.findall(r"^#+ (.+)$", without_code(page.read_text()), re.MULTILINE):
        plain = re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", title).lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=ident)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{target} in {ident(page)}"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{target} in {ident(page)}"


@pytest.mark.parametrize("page", PAGES, ids=ident)
def test_files_named_in_the_text_exist(page: Path) -> None:
    names = set(re.findall(rf"`((?:{'|'.join(map(re.escape, TOP))})/[\w./@-]+)`", page.read_text()))
    generated = {"benchmarks/results", "benchmarks/results/"}
    missing = {name for name in names - generated if not (ROOT / name).exists()}
    assert missing == set(), ident(page)


def defined(file: Path) -> set[str]:
    """Classes, functions, methods and constants of a Python file, methods as Class.method."""
    found = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


@pytest.mark.parametrize("page", PAGES, ids=ident)
def test_names_linked_to_a_python_file_are_defined_there(page: Path) -> None:
    for name, target in re.findall(r"\[`([A-Za-z_][\w.]*)`\]\(([^)#]+\.py)\)", page.read_text()):
        if not name.endswith(".py"):
            assert name in defined((page.parent / target).resolve()), f"{name} is not in {target}"


def commands(page: Path) -> Iterator[list[str]]:
    """Every command of a page's bash blocks and indented lines, split into words as the shell does."""
    indented = re.findall(r"^ {4}((?:ros2|edgecam|make|docker) .*\n)", without_code(page.read_text()), re.MULTILINE)
    for block in [*re.findall(r"```(?:bash|sh|console)\n(.*?)```", page.read_text(), re.DOTALL), *indented]:
        text = block.replace("\\\n", " ")
        for line in text.splitlines():
            if not line.strip() or line.lstrip().startswith("#"):
                continue
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


def without_environment(words: list[str]) -> list[str]:
    """Without NAME=value, sudo and the like in front."""
    while words and (re.match(r"\w+=", words[0]) or words[0] in {"sudo", "time", "exec"}):
        words = words[1:]
    return words


SHOWN = [pytest.param(words, id=f"{ident(page)}: {' '.join(words)[:70]}") for page in PAGES for words in commands(page)]


def test_there_are_commands_to_check() -> None:
    assert len(SHOWN) > 30


@pytest.mark.parametrize("words", SHOWN)
def test_a_command_calls_what_exists(words: list[str]) -> None:
    check = CHECKS.get(words[0])
    if check is not None:
        check(words[1:])
    elif words[0].startswith(("scripts/", "tests/", "./")):
        assert (ROOT / words[0]).exists()


def check_make(words: list[str]) -> None:
    known = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {word for word in words if "=" not in word and not word.startswith("-")} <= known


def check_ros2(words: list[str]) -> None:
    verb = words[0]
    assert verb in ROS2_VERBS
    if ROS2_VERBS[verb]:
        assert words[1] in ROS2_VERBS[verb]
    if verb == "launch" and words[1] == "edgecam_bringup":
        check_launch(words[2], words[3:])
    if verb == "run" and words[1].startswith("edgecam_"):
        assert f'"{words[2]} = ' in (ROOT / "src" / words[1] / "setup.py").read_text()
    if verb == "param" and words[1] in {"get", "set"}:
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
    verb = words[0].replace("-", "_")
    if verb.startswith("__") or words[0].startswith("-"):
        return
    files = list((ROOT / "src").glob(f"*/edgecam_*/cli/{verb}.py"))
    assert len(files) == 1, f"edgecam {words[0]}"
    package = files[0].parents[1].name
    module = importlib.import_module(f"{package}.cli.{verb}")
    parser = argparse.ArgumentParser(prog="edgecam", exit_on_error=False)
    module.add_arguments(parser)
    known = all_options(parser)
    unknown = {word.split("=")[0] for word in words[1:] if re.match(r"--[a-z]", word)} - known
    assert unknown == set(), f"edgecam {words[0]} has no {unknown}"


def all_options(parser: argparse.ArgumentParser) -> set[str]:
    """The options of a parser and of its sub-commands."""
    found: set[str] = set()
    for action in parser._actions:
        found |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                found |= all_options(child)
    return found


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


CHECKS = {
    "make": check_make,
    "ros2": check_ros2,
    "edgecam": check_edgecam,
    "docker": check_docker,
    "source": check_source,
    "python3": check_python,
}


@pytest.mark.parametrize("page", PAGES, ids=ident)
def test_every_block_says_its_language(page: Path) -> None:
    # A block without one is not checked; tables of output and file contents say text, yaml, xml, ...
    fences = re.findall(r"^```(.*)$", page.read_text(), re.MULTILINE)
    assert len(fences) % 2 == 0
    assert all(opening.strip() for opening in fences[::2]), ident(page)


def test_every_page_is_reachable_from_the_readme() -> None:
    reached: set[Path] = set()
    queue = [ROOT / "README.md"]
    while queue:
        page = queue.pop()
        if page in reached or not page.exists():
            continue
        reached.add(page)
        for target in re.findall(r"\]\(([^)\s#]+\.md)", page.read_text()):
            if not re.match(r"[a-z]+:", target):
                queue.append((page.parent / target).resolve())
    assert set((ROOT / "docs").glob("*.md")) - reached == set()
