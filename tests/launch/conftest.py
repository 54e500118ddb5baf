from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# Before rclpy is loaded: what looks at the launches must see neither other machines nor a profile from outside.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
for variable in [name for name in os.environ if name.endswith("_DEFAULT_PROFILES_FILE")]:
    del os.environ[variable]

from launched import Launched, ros_environment  # noqa: E402 - after the environment
from underlay_only import ignored  # noqa: E402

collect_ignore_glob = ignored("test_composed.py", "test_launch_files.py")
BRINGUP = ("ros2", "launch", "edgecam_bringup")


@contextmanager
def launching(folder: Path) -> Iterator[Callable[..., Launched]]:
    """A function that starts a command; what it has started is killed at the end unless it has ended."""
    started: list[Launched] = []

    def start(*arguments: str, command: tuple[str, ...] = BRINGUP) -> Launched:
        output = folder / f"output{len(started)}.txt"
        if command == BRINGUP:  # stopping takes long on a busy machine, which is not an error
            arguments = (*arguments, "sigterm_timeout:=60", "sigkill_timeout:=60")
        started.append(Launched([*command, *arguments], output, ros_environment()))
        return started[-1]

    try:
        yield start
    finally:
        for one in started:
            one.kill()


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    """Start a command (default: ros2 launch edgecam_bringup ...) for one test."""
    with launching(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def module_launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Launched]]:
    """As ``launch``, for the tests of a module that look at the same launch and leave it as it is."""
    with launching(tmp_path_factory.mktemp("launched")) as start:
        yield start
