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

"""The entry point of `ros2`: finds the verb's module by file name and runs it.

A verb is one file in `ros2cli/verbs`: `topic_echo.py` is `ros2 topic echo`, `launch.py` is `ros2 launch`. The
first line of its docstring is its help; it defines `add_arguments(parser)` and `main(args)`, whose result is passed to
`sys.exit`. Only the requested verb is imported, and no verb imports rclpy before `main`.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import signal
import sys
from typing import Any

from ros2cli import verbs

DESCRIPTION = """\
ros2: a small replacement for ros2cli, for installations of ROS 2 from Python wheels.
The commands below have the arguments and the output of the real ones. There is no daemon, and only XML
launch files are supported. Where ROS 2 is installed from packages, use the real ros2."""

COMMANDS = {
    "interface": "Show information about ROS interfaces",
    "lifecycle": "Various lifecycle related sub-commands",
    "node": "Various node related sub-commands",
    "param": "Various param related sub-commands",
    "pkg": "Various package related sub-commands",
    "service": "Various service related sub-commands",
    "topic": "Various topic related sub-commands",
}

BUFFERING = "--use-python-default-buffering"


def verb_names() -> list[str]:
    """The module names of the verbs, for example `["launch", "topic_echo", …]`."""
    return sorted(module.name for module in pkgutil.iter_modules(verbs.__path__))


def load(name: str) -> Any:
    """Import one verb's module."""
    return importlib.import_module(f"{verbs.__name__}.{name}")


def summary(name: str) -> str:
    """The first line of a verb's docstring."""
    return (load(name).__doc__ or "").strip().splitlines()[0]


def parse(argv: list[str]) -> tuple[Any, argparse.Namespace]:
    """The verb's module and its arguments; prints help and exits where argparse would."""
    parser = argparse.ArgumentParser(
        prog="ros2", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(BUFFERING, action="store_true", help="Do not force line buffering of the output")
    words = [word for word in argv if word != BUFFERING]
    names = verb_names()
    command = words[0] if words else ""
    if command in names:
        module, rest = load(command), words[1:]
        verb_parser = argparse.ArgumentParser(prog=f"ros2 {command}", description=summary(command))
    elif command in COMMANDS:
        verb = words[1] if len(words) > 1 else ""
        full = f"{command}_{verb}"
        if full not in names:
            group = _group_parser(command, names)
            group.parse_args(words[1:])
            group.print_help()
            raise SystemExit(0)
        module, rest = load(full), words[2:]
        verb_parser = argparse.ArgumentParser(prog=f"ros2 {command} {verb}", description=summary(full))
    else:
        _top_parser(parser, names).parse_args(words)
        parser.print_help()
        raise SystemExit(0)
    module.add_arguments(verb_parser)
    return module, verb_parser.parse_args(rest)


def _top_parser(parser: argparse.ArgumentParser, names: list[str]) -> argparse.ArgumentParser:
    group = parser.add_subparsers(title="Commands", metavar="<command>")
    for name in sorted([*COMMANDS, *(name for name in names if "_" not in name)]):
        group.add_parser(name, help=COMMANDS.get(name) or summary(name), add_help=False)
    return parser


def _group_parser(command: str, names: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"ros2 {command}", description=COMMANDS[command])
    group = parser.add_subparsers(title="Commands", metavar="<verb>")
    for name in names:
        if name.startswith(command + "_"):
            group.add_parser(name.removeprefix(command + "_"), help=summary(name), add_help=False)
    return parser


def main(argv: list[str] | None = None) -> int | str | None:
    """Run one command; the result is for `sys.exit`."""
    words = sys.argv[1:] if argv is None else argv
    module, args = parse(words)
    if BUFFERING not in words and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    try:
        result: int | str | None = module.main(args)
    except KeyboardInterrupt:
        return int(signal.SIGINT)
    except BrokenPipeError:  # `ros2 topic echo … | head`
        sys.stdout = None  # type: ignore[assignment]
        return int(signal.SIGPIPE)
    except RuntimeError as error:
        return str(error)
    return result


if __name__ == "__main__":
    sys.exit(main())
