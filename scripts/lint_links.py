#!/usr/bin/env python3
"""Refuse links in Markdown files to missing files of the repository or to missing headings."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from checkout import ROOT, files

LINK = re.compile(r"\]\(([^)\s]+)\)|(?:href|src)=\"([^\"]+)\"")


def without_code(text: str) -> str:
    """The text with its code blocks and inline code blanked; lines keep their numbers."""
    text = re.sub(r"^(```|~~~).*?^\1", lambda match: "\n" * match[0].count("\n"), text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"(?<!\[)`[^`\n]*`(?!\])", "", text)


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, on GitHub and on the site."""
    titles = re.findall(r"^#+ (.+)$", without_code(page.read_text()), re.MULTILINE)
    plain = (re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", title).lower() for title in titles)
    return frozenset(re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain)


def findings(page: Path) -> Iterator[str]:
    for number, line in enumerate(without_code(page.read_text()).splitlines(), 1):
        for markdown, html in LINK.findall(line):
            target = markdown or html
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            file = (page.parent / name).resolve() if name else page
            # Made while the site is built: docs/reference/python.md and the pages below it.
            made = (ROOT / "docs" / "reference" / "python").resolve()
            if not file.exists() and made not in (file.with_suffix(""), *file.parents):
                yield f"{page.relative_to(ROOT)}:{number}: {target} does not exist"
            elif anchor and file.suffix == ".md" and file.exists() and anchor not in anchors(file):
                yield f"{page.relative_to(ROOT)}:{number}: {target}: no such heading"


def main() -> int:
    pages = [ROOT / name for name in files(".") if name.endswith(".md")]
    found = [line for page in pages for line in findings(page)]
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
