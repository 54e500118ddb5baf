#!/usr/bin/env python3
"""Check what ament_xmllint and bloom check: every package.xml is valid, every XML file is well formed.

ament_xmllint and ament_copyright themselves exist only as apt packages of ROS.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from catkin_pkg.package import InvalidPackage, parse_package

ROOT = Path(__file__).resolve().parents[1]
MODEL = 'href="http://download.ros.org/schema/package_format3.xsd"'


def findings(root: Path = ROOT) -> Iterator[str]:
    """One line for each fault."""
    for path in sorted([*root.glob("launch/*.xml"), *root.glob("config/*.xml"), *root.glob("src/*/*/*.xml")]):
        try:
            ElementTree.parse(path)
        except ElementTree.ParseError as error:
            yield f"{path.relative_to(root)}: not well formed: {error}"
    for path in sorted([*root.glob("src/*/package.xml"), *root.glob("underlay/*/package.xml")]):
        yield from (f"{path.relative_to(root)}: {text}" for text in manifest(path))


def manifest(path: Path) -> Iterator[str]:
    warnings: list[str] = []
    try:
        package = parse_package(str(path), warnings=warnings)
    except InvalidPackage as error:
        yield " ".join(str(error).split())
        return
    yield from warnings
    if package.package_format != 3:
        yield f"format is {package.package_format}, not 3"
    if package.name != path.parent.name:
        yield f"name is {package.name!r}, the folder's is {path.parent.name!r}"
    if MODEL not in path.read_text():
        yield f"the xml-model line lacks {MODEL}"


def main() -> int:
    found = list(findings())
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
