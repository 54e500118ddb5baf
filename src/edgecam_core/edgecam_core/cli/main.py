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
import ast
import difflib
import importlib
import importlib.util
import pkgutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import InspectLoader

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
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("edgecam-core")
    except PackageNotFoundError:  # run from source, as in the environment of edgecam_training
        return "from sources"


def _summary(where: str) -> str:
    """The first line of a module's docstring, without importing it."""
    spec = importlib.util.find_spec(where)
    source = spec.loader.get_source(where) if spec and isinstance(spec.loader, InspectLoader) else None
    return _first_line(ast.get_docstring(ast.parse(source))) if source else ""


def _first_line(docstring: str | None) -> str:
    return (docstring or "").strip().partition("\n")[0].replace("%", "%%")


def main(args: Sequence[str] | None = None) -> int:
    """Run a command; returns 0 on success, 1 on failure, 2 for invalid arguments.

    SIGTERM (of ``timeout``, systemd, ``docker stop``) and SIGHUP (of a terminal that is closed) end a command as Ctrl-C
    does: what it has written is completed, and its temporary files are removed.
    """
    try:
        with _terminated_as_interrupted():
            return _main(args)
    except (KeyboardInterrupt, BrokenPipeError):
        return 0
    finally:
        flush_stdout()


def ending_signals() -> tuple[signal.Signals, ...]:
    """SIGTERM, and SIGHUP unless it is ignored, as with ``nohup``."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return (signal.SIGTERM,) if ignored else (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Within the block, :func:`ending_signals` raise KeyboardInterrupt. No effect outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, signal.default_int_handler) for number in ending_signals()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _main(args: Sequence[str] | None) -> int:
    words = list(sys.argv[1:] if args is None else args)
    found = commands()
    command = words[0] if words else ""
    parser = argparse.ArgumentParser(prog="edgecam", description="Tools of the edgecam packages.")
    parser.add_argument("--version", action="version", version=f"edgecam {_version()}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    if not command or command.startswith("-"):  # --help, --version or a mistake: argparse ends the program
        for name, where in found.items():
            subparsers.add_parser(name, help=_summary(where))
        parser.parse_args(words)
    if command not in found:
        near = difflib.get_close_matches(command, found, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"commands are {', '.join(found)}"
        print(f"error: there is no command {command!r}: {hint}", file=sys.stderr)
        return 2
    # Importing one command is quick, importing all of them (ROS, torch) is not.
    module = importlib.import_module(found[command])
    module.add_arguments(subparsers.add_parser(command, description=_first_line(module.__doc__)))
    arguments = parser.parse_args(words)
    try:
        if text := getattr(module, "waits_for", _nothing)(arguments):
            print(f"waiting: {text}", file=sys.stderr, flush=True)
        return int(module.run(arguments))
    except EdgecamError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, SettingError) else 1


def _nothing(_arguments: argparse.Namespace) -> str:
    return ""


if __name__ == "__main__":
    sys.exit(main())
