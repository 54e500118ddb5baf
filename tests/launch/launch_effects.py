"""What a launch file would start, evaluated without starting anything."""

from __future__ import annotations

import tempfile
from functools import cache
from itertools import pairwise
from pathlib import Path

import yaml
from launched import ROOT
from ros2cli.launch import evaluate
from ros2cli.launch.context import Context
from ros2cli.launch.plan import ProcessSpec


@cache
def _evaluated(name: str, given: frozenset[tuple[str, str]]) -> tuple[list[ProcessSpec], dict[str, object]]:
    """The processes of `ros2 launch edgecam_bringup name.launch.xml argument:=value`, and `node.parameter` of all.

    `node` is the executable with the number that ros2 launch gives it. The later of two files wins, as in rcl.
    """
    arguments = dict(given)
    values: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        context = Context.create(arguments, Path(folder), Path(folder))
        evaluate.run_file(ROOT / "launch" / f"{name}.launch.xml", arguments, context)
        for process in context.processes:
            for option, file in pairwise(process.command):
                if option == "--params-file":
                    for section in yaml.safe_load(Path(file).read_text()).values():
                        values |= {f"{process.name}.{key}": value for key, value in section["ros__parameters"].items()}
    return context.processes, values


def processes(name: str, **arguments: str) -> list[ProcessSpec]:
    """The processes that the launch file would start."""
    return _evaluated(name, frozenset(arguments.items()))[0]


def parameters(name: str, **arguments: str) -> dict[str, object]:
    """`node.parameter` of every node that the launch file would start."""
    return _evaluated(name, frozenset(arguments.items()))[1]


def changed(name: str, argument: str, value: str, **others: str) -> set[str]:
    """The `node.parameter`s that have another value once the argument is given."""
    before, after = parameters(name, **others), parameters(name, **others, **{argument: value})
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
