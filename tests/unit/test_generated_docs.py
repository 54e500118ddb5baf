"""Generated files are up to date, and the table of topics and services matches the nodes."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from edgecam_ros.interface import ENDPOINTS

ROOT = Path(__file__).resolve().parents[2]
CALLS = {"create_publisher": "publishes", "create_service": "serves"}


def test_generated_pages_and_parameter_files_are_current() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "generate_docs.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def endpoints() -> Iterator[tuple[str, str]]:
    """(kind, name) of every publisher and service that a node package creates under a fixed name."""
    for path in (ROOT / "src").glob("edgecam_*/edgecam_*/**/*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in CALLS:
                names = [one.value for one in ast.walk(call.args[1]) if isinstance(one, ast.Constant)]
                yield from ((CALLS[call.func.attr], str(name)) for name in names)


def test_the_table_of_topics_and_services_matches_the_nodes() -> None:
    listed = {(one.kind, one.name) for one in ENDPOINTS if one.kind in CALLS.values()}
    assert listed == set(endpoints()), "src/edgecam_ros/edgecam_ros/interface.py has a row for each"
