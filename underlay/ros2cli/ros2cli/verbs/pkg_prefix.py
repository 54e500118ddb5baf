"""Output the prefix path of a package."""

from __future__ import annotations

import argparse

from ros2cli.errors import NotFound


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 pkg prefix`."""
    parser.add_argument("package_name", help="The package name")
    parser.add_argument("--share", action="store_true", help="Show share directory for the package")


def main(args: argparse.Namespace) -> str | None:
    """Print the path."""
    from ros2cli import ament_index

    find = ament_index.package_share if args.share else ament_index.package_prefix
    try:
        print(find(args.package_name))
    except NotFound:
        return "Package not found"
    return None
