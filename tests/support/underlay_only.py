"""Skips the tests of underlay/ if ROS 2 is from apt, because the real packages have the same names there."""

from __future__ import annotations

from importlib.util import find_spec


def ignored(*more: str) -> list[str]:
    """Patterns for ``collect_ignore_glob`` of a conftest; ``more`` are files that import the packages themselves."""
    ours = find_spec("ros2cli") is not None and find_spec("ros2cli.launch") is not None
    return [] if ours else ["test_ros2cli_*.py", *more]
