# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""``edgecam COMMAND``: finds the commands in the ``cli`` folders of the installed edgecam packages.

A command is a module with ``add_arguments(parser)`` and ``run(arguments) -> exit code``. One that takes longer than a
moment before its first result also has ``waits_for(arguments) -> str``, which is printed before ``run`` imports ROS,
GStreamer or a back end: those alone can take seconds. Hence modules import them in functions. Empty: no line.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from edgecam_core.errors import EdgecamError, SettingError
from edgecam_core.stdout import flush_stdout

PACKAGES = ("core", "ros", "camera", "rtp", "detector", "recorder", "viewer", "training")
"""Packages that may contain commands; packages that are not installed (a machine without ROS) are skipped."""


def commands() -> dict[str, str]:
    """The module of each command."""
    found = {}
    for package in PACKAGES:
        folder = f"edgecam_{package}.cli"
        if importlib.util.find_spec(f"edgecam_{package}") is None:
            continue
        if (spec := importlib.util.find_spec(folder)) is None:
            continue
        for entry in pkgutil.iter_modules(spec.submodule_search_locations):
            if entry.name != "main" and not entry.name.startswith("_"):
                found[entry.name.replace("_", "-")] = f"{folder}.{entry.name}"
    return dict(sorted(found.items()))


def _version() -> str:
    try:
        return version("edgecam-core")
    except PackageNotFoundError:  # run from source, as in the environment of edgecam_training
        return "from sources"


def main(args: Sequence[str] | None = None) -> int:
    """Run a command; returns 0 on success, 1 on failure, 2 for invalid arguments."""
    try:
        return _main(args)
    except (KeyboardInterrupt, BrokenPipeError):
        return 0
    finally:
        flush_stdout()


def _main(args: Sequence[str] | None) -> int:
    words = list(sys.argv[1:] if args is None else args)
    found = commands()
    if words and not words[0].startswith("-") and words[0] not in found:
        near = difflib.get_close_matches(words[0], found, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"commands are {', '.join(found)}"
        print(f"error: there is no command {words[0]!r}: {hint}", file=sys.stderr)
        return 2
    # Importing all commands (ROS, torch) is slow, and only --help needs them all.
    needed = {words[0]: found[words[0]]} if words and words[0] in found else found
    parser = argparse.ArgumentParser(prog="edgecam", description="Tools of the edgecam packages.")
    parser.add_argument("--version", action="version", version=f"edgecam {_version()}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    modules = {}
    for name, where in needed.items():
        module = modules[name] = importlib.import_module(where)
        text = (module.__doc__ or name).strip().splitlines()[0].replace("%", "%%")
        module.add_arguments(subparsers.add_parser(name, help=text, description=text))
    arguments = parser.parse_args(words)
    command = modules[arguments.command]
    try:
        if text := getattr(command, "waits_for", _nothing)(arguments):
            print(f"waiting: {text}", file=sys.stderr, flush=True)
        return int(command.run(arguments))
    except EdgecamError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, SettingError) else 1


def _nothing(_arguments: argparse.Namespace) -> str:
    return ""


if __name__ == "__main__":
    sys.exit(main())
