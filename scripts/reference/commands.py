"""docs/reference/commands.md: every command of ``edgecam``, from its argument parser."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator

from edgecam_core.cli.main import commands

HEAD = """\
# Commands

Made by `scripts/generate_docs.py` from the argument parsers. `edgecam COMMAND --help` prints the same. Every command
exits with 0 on success, 1 on failure and 2 for arguments that cannot work.
"""


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def described(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    """The help text with %(default)s and similar fields filled in."""
    if not action.help:
        return ""
    return cell(parser._get_formatter()._expand_help(action))  # what --help itself prints


def shown(action: argparse.Action) -> str:
    """The option strings, or the name of a positional argument, with its value."""
    takes = "" if action.nargs == 0 else f" {action.metavar or (action.dest.upper() if action.option_strings else '')}"
    if isinstance(action.metavar, tuple):
        takes = " " + " ".join(action.metavar)
    if action.choices and not action.metavar:
        takes = " {" + ",".join(map(str, action.choices)) + "}"
    name = ", ".join(action.option_strings) or str(action.metavar or action.dest)
    return f"`{name}{takes if action.option_strings else ''}`"


def sections(name: str, parser: argparse.ArgumentParser, description: str, level: int = 2) -> Iterator[str]:
    """The section of a command, then those of the commands inside it."""
    rows, inner = [], []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {one.dest: one.help or "" for one in action._choices_actions}
            inner += [(child, one, helps.get(child, "")) for child, one in action.choices.items()]
        elif action.help != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction):
            rows.append(f"| {shown(action)} | {described(action, parser)} |")
    table = "\n\n| argument | meaning |\n|---|---|\n" + "\n".join(rows) if rows else ""
    yield f"{'#' * level} edgecam {name}\n\n{cell(description)}{table}\n"
    for child, child_parser, child_description in inner:
        yield from sections(f"{name} {child}", child_parser, child_description, level + 1)


def text() -> str:
    parts = [HEAD]
    for name, where in commands().items():
        module = importlib.import_module(where)
        description = (module.__doc__ or name).strip().splitlines()[0]
        parser = argparse.ArgumentParser(prog=f"edgecam {name}")
        module.add_arguments(parser)
        parts += sections(name, parser, description)
    return "\n".join(parts)
