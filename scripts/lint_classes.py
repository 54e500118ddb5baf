#!/usr/bin/env python3
"""Refuse a class name that two modules define: one name, one meaning. Private classes and those of tests count, too."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterable

from checkout import ROOT, files

FOLDERS = ("src", "underlay", "benchmarks", "scripts", "examples", "tests")
# Name -> the reason, for readers.
ALLOWED = {
    "TestEnd": "launch_testing: each launch test has its checks after shutdown under this name",
}


def classes(text: str) -> list[str]:
    """The classes of a module, without those inside functions and classes."""
    tree = ast.parse(text)
    blocks = [tree.body] + [node.body for node in tree.body if isinstance(node, (ast.If, ast.Try))]
    return [node.name for block in blocks for node in block if isinstance(node, ast.ClassDef)]


def findings(modules: Iterable[tuple[str, str]]) -> list[str]:
    """One line for each name with two definitions; ``modules`` are pairs of path and text."""
    places: dict[str, list[str]] = defaultdict(list)
    for path, text in modules:
        for name in classes(text):
            places[name].append(path)
    return [
        f"{paths[0]}: class {name} is also defined in {', '.join(paths[1:])}: give each meaning its own name"
        for name, paths in sorted(places.items())
        if len(paths) > 1 and name not in ALLOWED
    ]


def main() -> int:
    found = findings((path, (ROOT / path).read_text()) for path in files(*FOLDERS) if path.endswith(".py"))
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
