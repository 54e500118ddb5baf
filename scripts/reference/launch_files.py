"""docs/reference/launch.md: every launch file and its arguments, from the files themselves."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

LAUNCH = Path(__file__).resolve().parents[2] / "launch"
HEAD = """\
# Launch files

Made by `scripts/generate_docs.py` from `launch/`. Start one with `ros2 launch edgecam_bringup <file>`; `--show-args`
prints the same list. Every value is text: `name:=value`.
"""


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def section(path: Path) -> str:
    comment = re.search(r"<!--(.*?)-->", path.read_text(), re.DOTALL)
    rows = []
    for argument in ElementTree.parse(path).getroot().iter("arg"):
        if "value" in argument.attrib:  # handed to an included file
            continue
        default = argument.get("default")
        shown = "required" if default is None else f"`{default}`" if default else "empty"
        rows.append(f"| `{argument.attrib['name']}` | {shown} | {cell(argument.get('description', ''))} |")
    table = "| argument | default | meaning |\n|---|---|---|\n" + "\n".join(rows) if rows else "No arguments."
    return f"## {path.name}\n\n{cell(comment[1]) if comment else ''}\n\n{table}\n"


def text() -> str:
    return "\n".join([HEAD, *(section(path) for path in sorted(LAUNCH.glob("*.launch.xml")))])
