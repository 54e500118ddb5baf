from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from launched import Launched, ros_environment
from underlay_only import ignored

collect_ignore_glob = ignored()
BRINGUP = ("ros2", "launch", "edgecam_bringup")


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    """Start a command (default: ros2 launch edgecam_bringup ...); it is killed at the end unless it has ended."""
    started: list[Launched] = []

    def start(*arguments: str, command: tuple[str, ...] = BRINGUP) -> Launched:
        output = tmp_path / f"output{len(started)}.txt"
        if command == BRINGUP:  # stopping takes long on a busy machine, which is not an error
            arguments = (*arguments, "sigterm_timeout:=60", "sigkill_timeout:=60")
        started.append(Launched([*command, *arguments], output, ros_environment()))
        return started[-1]

    yield start
    for one in started:
        one.kill()
