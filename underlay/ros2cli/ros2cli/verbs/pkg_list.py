"""Output a list of available packages."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`ros2 pkg list` takes none."""


def main(args: argparse.Namespace) -> None:
    """Print the names."""
    from ros2cli import ament_index

    for name in sorted(ament_index.resources("packages")):
        print(name)
