"""Output a list of package specific executables."""

from __future__ import annotations

import argparse

from ros2cli.errors import CliError, NotFound


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 pkg executables`."""
    parser.add_argument("package_name", nargs="?", help="The package name")
    parser.add_argument("--full-path", action="store_true", help="Show full path of each executable")


def main(args: argparse.Namespace) -> None:
    """Print `package executable` lines, or paths."""
    from ros2cli import ament_index

    packages = [args.package_name] if args.package_name else sorted(ament_index.resources("packages"))
    for package in packages:
        try:
            paths = ament_index.executables(package)
        except NotFound as error:
            raise CliError(f"Package '{package}' not found") from error
        for path in paths:
            print(path if args.full_path else f"{package} {path.name}")
