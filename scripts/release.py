#!/usr/bin/env python3
"""Cut a version, or check that all versions agree. CONTRIBUTING.md describes the whole process.

    scripts/release.py --check
    scripts/release.py 0.2.0      writes VERSION, package.xml, setup.py and all changelogs; you commit and tag

The version is in the file VERSION; the packages repeat it because colcon and pip read it there.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UPSTREAM = {"foxglove_msgs", "vision_msgs"}  # underlay packages with the version of the package that they replace
SECTION = r"^(Forthcoming|\d+\.\d+\.\d+)(?: \(\d{4}-\d\d-\d\d\))?\n---+\n"  # of a CHANGELOG.rst
MARKS = {"package.xml": r"(<version>)([^<]*)(</version>)", "setup.py": r'(version=")([^"]*)(")'}


def files(root: Path) -> Iterator[tuple[Path, str]]:
    """Every manifest and setup.py, with the pattern that finds the version in it."""
    for name, pattern in MARKS.items():
        for folder in ("src", "underlay"):
            for path in sorted((root / folder).glob(f"*/{name}")):
                if path.parent.name not in UPSTREAM:
                    yield path, pattern


def problems(root: Path = ROOT) -> list[str]:
    """One line for each file that disagrees with VERSION."""
    version = (root / "VERSION").read_text().strip()
    found = []
    for path, pattern in files(root):
        match = re.search(pattern, path.read_text())
        if match is None or match[2] != version:
            problem = "names no version" if match is None else f"has version {match[2]}"
            found.append(f"{path.relative_to(root)} {problem}; VERSION is {version}")
    changes = (root / "CHANGELOG.md").read_text()
    if "\n## [Unreleased]" not in changes:
        found.append("CHANGELOG.md has no section [Unreleased]")
    if f"\n## [{version}]" not in changes:
        found.append(f"CHANGELOG.md has no section [{version}]")
    for path in histories(root):
        sections = re.findall(SECTION, path.read_text(), re.MULTILINE)
        if not sections or sections[0] not in ("Forthcoming", version):
            found.append(f"{path.relative_to(root)} begins with neither Forthcoming nor {version}")
    return found


def histories(root: Path) -> list[Path]:
    """The packages' changelogs in catkin's format (REP 132), which the build farm publishes."""
    return sorted((root / "src").glob("*/CHANGELOG.rst"))


def closed_history(text: str, version: str) -> str:
    """A package's changelog with its section Forthcoming renamed to the version, or a new section for it."""
    heading = f"{version} ({time.strftime('%Y-%m-%d')})"
    section = f"{heading}\n{'-' * len(heading)}\n"
    open_section = "Forthcoming\n-----------\n"
    if open_section in text:
        return text.replace(open_section, section, 1)
    head, bar, rest = text.partition("^\n\n")
    return f"{head}{bar}{section}* No change.\n\n{rest}"


def cut(version: str, root: Path = ROOT) -> None:
    """Write the version everywhere and close the changelog's [Unreleased] section.

    Raises:
        ValueError: not a version, not newer than the last one, or nothing to release.
    """
    old = (root / "VERSION").read_text().strip()
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise ValueError(f"version '{version}': use three numbers, such as 0.2.0")
    if numbers(version) <= numbers(old):
        raise ValueError(f"version '{version}' is not newer than {old}")
    changes = (root / "CHANGELOG.md").read_text()
    head, mark, rest = changes.partition("\n## [Unreleased]")
    unreleased = rest.partition("\n## [")[0].partition("\n")[2]
    if not mark or not re.search(r"^- ", unreleased, re.MULTILINE):
        raise ValueError("CHANGELOG.md has nothing under [Unreleased]")
    closed = f"\n## [Unreleased]\n\n## [{version}] - {time.strftime('%Y-%m-%d')}\n" + rest.partition("\n")[2]
    (root / "CHANGELOG.md").write_text(head + closed)
    (root / "VERSION").write_text(f"{version}\n")
    for path in histories(root):
        path.write_text(closed_history(path.read_text(), version))
    for path, pattern in files(root):
        path.write_text(re.sub(pattern, rf"\g<1>{version}\g<3>", path.read_text(), count=1))


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", nargs="?", help="the new version, X.Y.Z")
    parser.add_argument("--check", action="store_true", help="only check that all versions agree")
    args = parser.parse_args()
    if found := problems():
        print("\n".join(found), file=sys.stderr)
        return 1
    if args.check or not args.version:
        return 0
    try:
        cut(args.version)
    except ValueError as error:
        print(f"release: {error}", file=sys.stderr)
        return 2
    print(f"git commit -am 'Release {args.version}' && git tag -a v{args.version} -m 'edgecam {args.version}'")
    return 0


if __name__ == "__main__":
    sys.exit(main())
