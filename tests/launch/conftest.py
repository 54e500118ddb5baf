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
    """Start a command (default: ros2 launch edgecam_bringup ...); killed at the end if the test did not stop it."""
    started: list[Launched] = []

    def start(*arguments: str, command: tuple[str, ...] = BRINGUP) -> Launched:
        output = tmp_path / f"output{len(started)}.txt"
        if command == BRINGUP:  # on a busy machine stopping takes long, which is not a fault
            arguments = (*arguments, "sigterm_timeout:=60", "sigkill_timeout:=60")
        started.append(Launched([*command, *arguments], output, ros_environment()))
        return started[-1]

    yield start
    for one in started:
        one.kill()
