#!/usr/bin/env python3
"""Check the import direction that CONTRIBUTING.md describes, and refuse circular imports.

Imports inside functions count, because they only hide a circle. Imports under ``if TYPE_CHECKING`` do not: they
never run.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROS = (
    "rclpy", "ament_index_python", "launch", "launch_ros", "cv_bridge", "sensor_msgs", "vision_msgs", "foxglove_msgs",
    "std_msgs", "std_srvs", "diagnostic_msgs", "lifecycle_msgs", "rcl_interfaces", "builtin_interfaces", "edgecam_ros",
    "edgecam_msgs",
)  # fmt: skip
SHARED = {"edgecam_core", "edgecam_ros", "edgecam_training", "edgecam_bringup", "edgecam_msgs"}
NODES = tuple(sorted({folder.name for folder in (ROOT / "src").glob("*/")} - SHARED))
# A module whose name starts with the key must not import modules whose names start with one of the others.
FORBIDDEN: dict[str, tuple[str, ...]] = {
    "edgecam_core": (*ROS, *NODES, "edgecam_training"),
    "edgecam_core.media": ("edgecam_core.camera", "edgecam_core.rtp"),
    "edgecam_core.camera": ("edgecam_core.rtp",),
    "edgecam_core.rtp": ("edgecam_core.camera",),
    "edgecam_core.recording": ("edgecam_core.camera", "edgecam_core.rtp", "edgecam_core.models", "edgecam_core.images"),
    "edgecam_core.inference": ("edgecam_core.models",),
    "edgecam_training": (*ROS, *NODES),
    "edgecam_ros": (*NODES, "edgecam_training"),
    **{node: ("edgecam_training", *(other for other in NODES if other != node)) for node in NODES},
}


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Every module of the packages, of the underlay and of the benchmarks, by its full name."""
    folders = [*(root / "src").glob("*/"), *(root / "underlay").glob("*/")]
    packages = [(folder, folder / folder.name) for folder in folders] + [(root, root / "benchmarks")]
    return {
        ".".join(path.relative_to(base).with_suffix("").parts).removesuffix(".__init__"): path
        for base, package in packages
        for path in package.rglob("*.py")
    }


def type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imports(tree: ast.AST, known: dict[str, Path]) -> Iterator[tuple[int, str]]:
    """Line and full name of every import of a module; ``from package import module`` gives the module itself."""
    for node in ast.iter_child_nodes(tree):
        if type_checking(node):
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield node.lineno, inner if inner in known else node.module
        else:
            yield from imports(node, known)


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def wrong_way(module: str, imported: str) -> bool:
    return any(
        within(module, room) and any(within(imported, other) for other in others) for room, others in FORBIDDEN.items()
    )


def findings(root: Path = ROOT) -> list[str]:
    """One line for each import against the direction, and one for a circular import."""
    known = modules(root)
    found, graph = [], {}
    for module, path in sorted(known.items()):
        pairs = list(imports(ast.parse(path.read_text()), known))
        graph[module] = {name for _, name in pairs if name in known and name != module}
        found += [
            f"{path.relative_to(root)}:{line}: {module} must not import {name}"
            for line, name in pairs
            if wrong_way(module, name)
        ]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append("modules import each other in a circle: " + " <- ".join(error.args[1]))
    return found


def main() -> int:
    found = findings()
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
