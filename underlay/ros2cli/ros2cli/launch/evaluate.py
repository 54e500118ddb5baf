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

"""Evaluation of launch files: loading, running, and the warning about arguments that no file declares or uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ros2cli.launch import template as tpl
from ros2cli.launch.context import Context
from ros2cli.launch.errors import LaunchError
from ros2cli.launch.names import Names
from ros2cli.launch.schema import Action, Tag, compile_element, suggest
from ros2cli.launch.xml_file import read_xml

ROOT = Tag(body=True, conditional=False)

DEEPEST = 50
"""Depth of nested includes; a deeper one means a cycle."""


def load(path: Path) -> list[Action]:
    """Read and check one launch file. Raises LaunchError."""
    from ros2cli.launch.actions import table

    if path.suffix in (".py", ".yaml", ".yml"):
        raise LaunchError(f"'{path}' is not an XML launch file, and this small ros2 supports no others")
    root = read_xml(path)
    if root.tag != "launch":
        raise root.error("expected <launch> as the root tag")
    return compile_element(root, ROOT, table()).body


def run_file(path: Path, given: Mapping[str, str], context: Context, included_by: Action | None = None) -> None:
    """Evaluate one launch file into the context's plan. Raises LaunchError."""
    if len(context.files) >= DEEPEST:
        raise LaunchError(f"launch files are nested more than {DEEPEST} deep, the last is '{path}'")
    try:
        actions = load(path)
        _check_required(actions, given)
    except LaunchError as error:
        raise (included_by.error(str(error), "file") if included_by else error) from error
    context.scope.configurations.update(given)
    names = survey_file(actions)
    context.names.append(names)
    with context.inside(path):
        run_actions(actions, context)
    context.names.pop()
    for name in names.unknown(given):
        message = f"'{path}' has no argument '{name}', it is ignored{suggest(name, names.declared)}"
        context.log("WARNING", "launch", str(included_by.error(message)) if included_by else message)
    if context.names:
        context.names[-1].add(names)


def run_actions(actions: Iterable[Action], context: Context) -> None:
    """Evaluate actions in order; of actions excluded by a condition, only collect the argument names."""
    for action in actions:
        if action.applies(context):
            action.run(context)
        else:
            context.names[-1].add(survey_includes([action], context))


def walk(actions: Iterable[Action], conditional: bool = False) -> Iterator[tuple[Action, bool]]:
    """Every action of a file, and whether it depends on a condition."""
    for action in actions:
        depends = conditional or action.conditional
        yield action, depends
        yield from walk(action.body, depends)


def survey_file(actions: Iterable[Action]) -> Names:
    """The argument names in one file, without its includes."""
    names = Names()
    for action, _ in walk(actions):
        if action.name == "arg":
            names.declared.add(tpl.unescape(action.plain("name") or ""))
        for call in _calls(action):
            if call.name == "var":
                name = tpl.literal(call.arguments[0])
                names.complete &= name is not None
                names.used.add(name or "")
    return names


def survey_includes(actions: Iterable[Action], context: Context) -> Names:
    """The argument names in the files that the actions would include in the current context."""
    names = Names()
    for action, _ in walk(actions):
        if action.name != "include":
            continue
        try:
            path = Path(action.text(context, "file"))
            inner = load(path)
        except LaunchError:
            names.complete = False
            continue
        names.add(survey_file(inner))
        if len(context.files) < DEEPEST:
            with context.inside(path):
                names.add(survey_includes(inner, context))
    return names


def _calls(action: Action) -> Iterator[tpl.Call]:
    for template in (*action.templates.values(), *action.inner):
        yield from tpl.calls(template)
    for parts in action.parts.values():
        for part in parts:
            yield from _calls(part)


def _check_required(actions: list[Action], given: Mapping[str, str]) -> None:
    from ros2cli.launch.actions.configuration import arg_name, description

    for action, conditional in walk(actions):
        if action.name == "arg" and not conditional and not action.has("default"):
            name = arg_name(action)
            if name not in given:
                raise action.error(
                    f"required argument '{name}' ({description(action)}) is missing, given: [{', '.join(given)}]"
                )
