"""Lists the files of the repository, also of a download without git."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def files(*starts: str, root: Path = ROOT) -> Iterator[str]:
    """Sorted paths, relative to the repository, at or below ``starts``; neither .git nor what .gitignore excludes."""
    patterns = [".git", *(line.rstrip("/") for line in (root / ".gitignore").read_text().split())]
    for start in starts:
        yield from sorted(_below(root / start, root, patterns))


def _below(path: Path, root: Path, patterns: list[str]) -> Iterator[str]:
    name = path.relative_to(root).as_posix()
    if path.is_symlink() or any(fnmatch(f"/{name}" if "/" in one else path.name, one) for one in patterns):
        return
    if path.is_dir():
        for entry in path.iterdir():
            yield from _below(entry, root, patterns)
    elif path.is_file():
        yield name
