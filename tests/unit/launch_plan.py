"""Evaluating launch XML without starting anything."""

from __future__ import annotations

import os
from pathlib import Path

from ros2cli.launch import evaluate
from ros2cli.launch.context import Context

PACKAGE = "zoo"


class Workbench:
    """A folder with launch files, and an install prefix with package `zoo` that has executable `lion`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prefix = folder / "prefix"
        lion = self.prefix / "lib" / PACKAGE / "lion"
        marker = self.prefix / "share" / "ament_index" / "resource_index" / "packages" / PACKAGE
        for path in (lion, marker, self.prefix / "share" / PACKAGE / "launch" / "file"):
            path.parent.mkdir(parents=True, exist_ok=True)
        lion.write_text("#!/bin/sh\n")
        lion.chmod(0o755)
        marker.touch()
        self.environment = {"PATH": os.environ["PATH"], "AMENT_PREFIX_PATH": str(self.prefix), "HOME": "/home/me"}
        self.logged: list[tuple[str, str, str]] = []

    def write(self, name: str, body: str) -> Path:
        """A launch file; the body starts on line 2."""
        path = self.folder / name
        path.write_text(f"<launch>\n{body}\n</launch>\n")
        return path

    def evaluate(self, body: str, **arguments: str) -> Context:
        """The processes that `ros2 launch top.launch.xml name:=value …` would start."""
        path = self.write("top.launch.xml", body)
        temporary = self.folder / "temporary"
        temporary.mkdir(exist_ok=True)

        def say(level: str, name: str, text: str) -> None:
            self.logged.append((level, name, text))

        context = Context.create(arguments, temporary, self.folder, say, self.environment)
        evaluate.run_file(path, arguments, context)
        return context

    def commands(self, body: str, **arguments: str) -> list[tuple[str, ...]]:
        """The command lines, programs by their base name."""
        specs = self.evaluate(body, **arguments).processes
        return [(os.path.basename(spec.command[0]), *spec.command[1:]) for spec in specs]

    def log(self, text: str, before: str = "", **arguments: str) -> str:
        """The line that `<log message=text>` prints."""
        self.logged.clear()
        self.evaluate(f'{before}\n<log message="{text}"/>', **arguments)
        return self.logged[-1][2]
