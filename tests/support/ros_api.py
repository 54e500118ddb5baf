"""Checks the ROS 2 names that the source code uses against the table of four distributions in ros_api.txt."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

DISTRIBUTIONS = frozenset({"humble", "jazzy", "kilted", "lyrical"})
TABLE = Path(__file__).with_suffix(".txt")
MESSAGES = ("_msgs", "_srvs", "_interfaces")


@dataclass(frozen=True)
class Entry:
    """A name: the distributions that have it, and its parameters with those that have them (None: not callable)."""

    distributions: frozenset[str]
    parameters: Mapping[str, frozenset[str]] | None = None

    def lacking(self, keywords: frozenset[str] = frozenset(), positional: int = 0) -> frozenset[str]:
        """The distributions in which a call with these keywords and this number of positional arguments fails."""
        lacking = DISTRIBUTIONS - self.distributions
        if self.parameters is None:
            return lacking
        names = list(self.parameters)
        free = next((index for index, name in enumerate(names) if name.startswith("*")), len(names))
        if positional > free and not any(re.match(r"\*\w", name) for name in names):
            return DISTRIBUTIONS
        for keyword in keywords:
            lacking |= (
                DISTRIBUTIONS - self.parameters.get(keyword, frozenset()) - self.parameters.get("**kwargs", frozenset())
            )
        return lacking


@functools.cache
def table() -> dict[str, dict[str, Entry]]:
    """Sections: python (dotted names), launch files (tags with attributes), messages (fields, constants)."""
    sections: dict[str, dict[str, Entry]] = {}
    for line in TABLE.read_text().splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            name, parameters, distributions = _parsed(line)
            section[name] = Entry(distributions, parameters)
    return sections


def _parsed(line: str) -> tuple[str, dict[str, frozenset[str]] | None, frozenset[str]]:
    match = re.fullmatch(r"([\w./]+)(?:\((.*)\)|:(.*))?(?: \[([a-z ]+)\])?", line)
    assert match, line
    name, called, listed, distributions = match.groups()
    parameters = None
    if called is not None:
        parameters = dict(map(_item, re.split(r", ", called) if called else []))
    elif listed is not None and "/" in name:  # a message: "type name, type name | CONSTANT CONSTANT"
        fields, _, constants = listed.partition("|")
        names = [field.split()[-1] for field in fields.split(",") if field.strip() not in ("", "---")]
        parameters = dict.fromkeys([*names, *constants.split()], DISTRIBUTIONS)
    elif listed is not None:
        parameters = dict(map(_item, re.findall(r"[^\s\[]+(?:\[[^]]*\])?", listed)))
    return name, parameters, frozenset((distributions or " ".join(DISTRIBUTIONS)).split())


def _item(text: str) -> tuple[str, frozenset[str]]:
    name, _, distributions = text.rstrip("]").partition("[")
    return name, frozenset(distributions.split()) or DISTRIBUTIONS


@dataclass(frozen=True)
class Use:
    """A ROS name that a source file uses, and the distributions in which it fails (``lacking``)."""

    place: str
    name: str
    lacking: frozenset[str]


def python_uses(path: Path, own_names: frozenset[str] = frozenset()) -> Iterator[Use]:
    """Imports, calls and attributes of rclpy, launch and messages in a Python file.

    The source does not show the type of a variable. A method is therefore looked up by its name in every class of the
    table and must fit one of them, unless the name is one of ``own_names`` (defined in our own code).
    """
    tree = ast.parse(path.read_text())
    imported = dict(_imports(tree))
    if not imported:
        return
    modules = {alias.name for one in ast.walk(tree) if isinstance(one, ast.Import) for alias in one.names} - {*imported}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for _, name in _imports(node):
                yield Use(f"{path}:{node.lineno}", name, _lookup(name).lacking())
        elif isinstance(node, ast.Call) and not _of_module(node.func, modules):
            keywords = frozenset(keyword.arg for keyword in node.keywords if keyword.arg)
            count = sum(not isinstance(one, ast.Starred) for one in node.args)
            place = f"{path}:{node.lineno}"
            if name := _dotted(node.func, imported):
                yield Use(place, name, _lookup(name).lacking(keywords, count))
            elif isinstance(node.func, ast.Attribute) and node.func.attr not in own_names:
                entries = methods().get(node.func.attr, [])
                if entries:
                    verdicts = [entry.lacking(keywords, count) for entry in entries]
                    yield Use(place, f"*.{node.func.attr}", min(verdicts, key=len))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and not _of_module(node, modules):
            if name := _dotted(node, imported):
                yield Use(f"{path}:{node.lineno}", name, _lookup(name).lacking())
            elif node.attr in methods() and node.attr not in own_names:
                verdicts = [entry.lacking() for entry in methods()[node.attr]]
                yield Use(f"{path}:{node.lineno}", f"*.{node.attr}", min(verdicts, key=len))


def _of_module(node: ast.expr, modules: set[str]) -> bool:
    """Whether this is a function of another imported module, such as ``time.sleep``."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules


def _imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Local name and dotted name of each import from ROS."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level and _is_ros(node.module or ""):
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if _is_ros(alias.name):
                    yield alias.asname or alias.name.partition(".")[0], alias.asname or alias.name.partition(".")[0]


def _is_ros(module: str) -> bool:
    package = module.partition(".")[0]
    return package in ("rclpy", "launch", "launch_ros") or package.endswith(MESSAGES)


def _dotted(node: ast.expr, imported: Mapping[str, str]) -> str:
    if isinstance(node, ast.Name):
        return imported.get(node.id, "")
    if isinstance(node, ast.Attribute) and (owner := _dotted(node.value, imported)):
        return f"{owner}.{node.attr}"
    return ""


def _lookup(name: str) -> Entry:
    """The entry of a dotted name; an unknown name is in no distribution."""
    package, _, rest = name.partition(".")
    if package.endswith(MESSAGES):
        kind, _, message = rest.partition(".")
        message, _, member = message.partition(".")
        entry = table()["messages"].get(f"{package}/{kind}/{message}")
        if entry is None or not member or member.split(".")[0] in ("Request", "Response"):
            return entry or Entry(frozenset())
        return Entry((entry.parameters or {}).get(member, frozenset()))
    names = table()["python"]
    if name in names:
        return names[name]
    # The table has the members of Python classes, but not of compiled types such as enumerations.
    owner = name.rpartition(".")[0]
    if owner in names and "." in owner and not any(one.startswith(f"{owner}.") for one in names):
        return names[owner]
    return Entry(frozenset())


@functools.cache
def methods() -> dict[str, list[Entry]]:
    """Members of the classes in the table by their own name."""
    found: dict[str, list[Entry]] = {}
    for name, entry in table()["python"].items():
        owner, _, member = name.rpartition(".")
        if owner.rpartition(".")[2][:1].isupper():
            found.setdefault(member, []).append(entry)
    return found


def launch_uses(path: Path) -> Iterator[Use]:
    """Tags, attributes and substitutions of an XML launch file."""
    known = table()["launch files"]
    for element in ElementTree.parse(path).iter():
        entry = known.get(element.tag, Entry(frozenset()))
        yield Use(path.name, f"<{element.tag}>", DISTRIBUTIONS - entry.distributions)
        attributes = {**(entry.parameters or {}), **(known["every"].parameters or {})}
        for name, value in element.attrib.items():
            yield Use(path.name, f"<{element.tag} {name}>", DISTRIBUTIONS - attributes.get(name, frozenset()))
            for substitution in re.findall(r"\$\(([\w-]+)", value):
                have = (known["substitutions"].parameters or {}).get(substitution, frozenset())
                yield Use(path.name, f"$({substitution})", DISTRIBUTIONS - have)
