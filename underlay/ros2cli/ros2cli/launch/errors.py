"""The error for any fault in a launch file or its arguments."""

from __future__ import annotations

from ros2cli.errors import CliError


class LaunchError(CliError):
    """What is wrong, with `FILE:LINE: <tag>` in front where a file is to blame."""


class SubstitutionError(CliError):
    """A substitution that cannot be parsed or performed; the tag that holds it adds the place."""
