"""edgecam's hooks for mkdocs: pages of the Python reference, and links that leave docs/.

In the repository a page may link to any file (``../../src/...``), so that it works where the repository is read. The
site has only docs/: there a link to a module leads to the module's place in the Python reference, and a link to any
other file of the repository becomes its path.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\[((?:`[^`]*`|[^\]`])*)\]\((\.\.?/[^)\s]+)\)")
HEAD = "# Python reference\n\nGenerated from the docstrings, a page for each package.\n\n"


def packages() -> dict[str, list[str]]:
    """The modules (full names) of every package, and of every package within edgecam_core."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "src").glob("edgecam_*/edgecam_*/**/*.py")):
        name = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts[1:]).removesuffix(".__init__")
        room = ".".join(name.split(".")[: 2 if path.parts[-3] != path.parts[-2] and name.count(".") > 1 else 1])
        if not name.rpartition(".")[2].startswith("__"):
            found.setdefault(room, []).append(name)
    return found


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the Python reference; they exist only while the site is built."""
    listed = []
    for room, names in packages().items():
        text = f"# {room}\n\n" + "\n".join(f"::: {name}\n" for name in names)
        files.append(File.generated(config, f"reference/python/{room}.md", content=text))
        listed.append(f"- [`{room}`](python/{room}.md)")
    files.append(File.generated(config, "reference/python.md", content=HEAD + "\n".join(listed) + "\n"))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Rewrite links to files outside docs/. Dead links stay unchanged, so that mkdocs warns about them."""
    folder = (ROOT / "docs" / page.file.src_uri).parent

    def rewritten(match: re.Match[str]) -> str:
        text, target = match[1], (folder / match[2].partition("#")[0]).resolve()
        inside = (ROOT / "docs") in target.parents
        if inside or not target.exists():
            return match[0]
        path = target.relative_to(ROOT)
        if path.parts[0] == "src" and path.suffix == ".py":
            module = ".".join(path.with_suffix("").parts[2:]).removesuffix(".__init__")
            name = text.strip("`")
            return f"[{text}][{module}]" if name.endswith(".py") else f"[{text}][{module}.{name}]"
        return text if str(path) in text else f"{text} (`{path}`)"

    return LINK.sub(rewritten, markdown)
