#!/usr/bin/env python3
"""Generate docs/reference and config/<node>.yaml from the code, and insert measured numbers into all pages.

One module of scripts/reference per page: parameters, launch files, commands, topics and services. Numbers come from
benchmarks/results/results.json; benchmarks/marks.py describes the marks in the pages. With --check, only compare.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), *(str(path) for path in (ROOT / "src").iterdir())]
from benchmarks.marks import filled  # noqa: E402
from benchmarks.store import PUBLISHED, Store  # noqa: E402
from scripts.reference import commands, launch_files, parameters, topics  # noqa: E402

PAGES = parameters.PAGES


def outputs() -> dict[Path, str]:
    """Every generated file and its content."""
    pages = {"parameters": parameters, "launch": launch_files, "commands": commands, "topics": topics}
    files = {ROOT / "docs" / "reference" / f"{name}.md": page.text() for name, page in pages.items()}
    results = Store.open(PUBLISHED)
    hand_written = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    files |= {path: filled(path.read_text(), results) for path in hand_written if path not in files}
    return files | {ROOT / "config" / f"{page.name}.yaml": parameters.yaml_text(page) for page in parameters.PAGES}


def main() -> int:
    made = outputs()
    stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale: run scripts/generate_docs.py", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.write_text(made[path])
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
