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

"""Declares the allowed contents of each tag, and checks elements against them.

Unknown tags and attributes are errors; they are never ignored.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ros2cli.errors import NotFound
from ros2cli.launch import template as tpl
from ros2cli.launch.context import Context
from ros2cli.launch.errors import LaunchError, SubstitutionError
from ros2cli.launch.substitutions import check as check_substitution
from ros2cli.launch.values import TypeMismatch, to_condition
from ros2cli.launch.xml_file import Element


@dataclass(frozen=True)
class Tag:
    """The contract of one tag.

    `plain` attributes are used literally; the others may contain substitutions. `parts` are child tags that describe
    this one; with `body`, other children are actions. `check` checks the plain attributes when the file is read, `run`
    evaluates the tag.
    """

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    parts: Mapping[str, Tag] = field(default_factory=dict)
    body: bool = False
    conditional: bool = True
    check: Callable[[Action], None] | None = None
    run: Callable[[Action, Context], None] | None = None

    @property
    def attributes(self) -> tuple[str, ...]:
        """All attribute names."""
        return (*self.required, *self.optional, *(("if", "unless") if self.conditional else ()))


@dataclass
class Action:
    """A checked element that can be evaluated any number of times.

    `inner` holds the templates that the tag's `check` found in its plain attributes.
    """

    tag: Tag
    element: Element
    templates: dict[str, tpl.Template] = field(default_factory=dict)
    parts: dict[str, list[Action]] = field(default_factory=dict)
    body: list[Action] = field(default_factory=list)
    inner: list[tpl.Template] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The tag's name."""
        return self.element.tag

    def error(self, message: str, attribute: str | None = None) -> LaunchError:
        """The error to raise for this tag."""
        return self.element.error(f"attribute '{attribute}': {message}" if attribute else message)

    def plain(self, attribute: str) -> str | None:
        """An attribute as written in the file."""
        return self.element.attributes.get(attribute)

    def has(self, attribute: str) -> bool:
        """Whether the attribute is given."""
        return attribute in self.element.attributes

    def text(self, context: Context, attribute: str) -> str:
        """An attribute with its substitutions performed. Raises LaunchError."""
        return self.perform(context, self.templates[attribute], attribute)

    def optional(self, context: Context, attribute: str) -> str | None:
        """Like :meth:`text`, or None if the attribute is not given."""
        return self.text(context, attribute) if attribute in self.templates else None

    def perform(self, context: Context, template: tpl.Template, attribute: str) -> str:
        """Perform a template of an attribute. Raises LaunchError."""
        try:
            return context.text(template)
        except (SubstitutionError, NotFound, TypeMismatch) as error:
            raise self.error(str(error), attribute) from error

    @property
    def conditional(self) -> bool:
        """Whether the tag has an `if` or `unless`."""
        return self.tag.conditional and (self.has("if") or self.has("unless"))

    def applies(self, context: Context) -> bool:
        """Whether the `if` or `unless` condition is met; true without one. Raises LaunchError."""
        for attribute, required in (("if", True), ("unless", False)):
            if self.conditional and self.has(attribute):
                try:
                    return to_condition(self.text(context, attribute)) is required
                except TypeMismatch as error:
                    raise self.error(str(error), attribute) from error
        return True

    def run(self, context: Context) -> None:
        """Evaluate the tag; the caller has checked the condition. Raises LaunchError."""
        assert self.tag.run is not None
        self.tag.run(self, context)


def compile_element(element: Element, tag: Tag, actions: Mapping[str, Tag]) -> Action:
    """Check an element and its descendants. Raises LaunchError."""
    action = Action(tag, element)
    _check_attributes(element, tag)
    for name, text in element.attributes.items():
        if name not in tag.plain:
            action.templates[name] = _parse(element, name, text)
    for child in element.children:
        if child.tag in tag.parts:
            part = compile_element(child, tag.parts[child.tag], actions)
            action.parts.setdefault(child.tag, []).append(part)
        elif tag.body and child.tag in actions:
            action.body.append(compile_element(child, actions[child.tag], actions))
        else:
            raise child.error(_unknown_tag(child, element, tag, actions))
    if tag.check is not None:
        tag.check(action)
    return action


UNSUPPORTED_ATTRIBUTES = ("emulate_tty", "forwarding", "deprecated")


def _check_attributes(element: Element, tag: Tag) -> None:
    for name in element.attributes:
        if name in UNSUPPORTED_ATTRIBUTES:
            raise element.error(f"ros2 launch supports the attribute '{name}', but this small replacement does not")
        if name not in tag.attributes:
            raise element.error(f"unknown attribute '{name}'{suggest(name, tag.attributes)}")
    for name in tag.required:
        if name not in element.attributes:
            raise element.error(f"attribute '{name}' is missing")
    if tag.conditional and "if" in element.attributes and "unless" in element.attributes:
        raise element.error("if and unless can't be used together")


def _parse(element: Element, name: str, text: str) -> tpl.Template:
    try:
        template = tpl.parse(text)
        for call in tpl.calls(template):
            check_substitution(call)
    except SubstitutionError as error:
        raise element.error(f"attribute '{name}': {error}") from error
    return template


UNSUPPORTED = (
    "timer", "shutdown", "reset", "reset_env", "keep", "node_container", "load_composable_node", "ros_timer",
    "composable_node", "set_parameters_from_file", "set_ros_log_dir", "set_use_sim_time",
)  # fmt: skip


def _unknown_tag(child: Element, parent: Element, tag: Tag, actions: Mapping[str, Tag]) -> str:
    if child.tag in UNSUPPORTED:
        return "ros2 launch supports this tag, but this small replacement does not"
    allowed = [*tag.parts, *(actions if tag.body else ())]
    if not allowed:
        return f"<{parent.tag}> has no child tags"
    return f"unknown tag in <{parent.tag}>{suggest(child.tag, allowed)}"


def suggest(name: str, known: Iterable[str]) -> str:
    """A hint with the closest name and all known names."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1)
    guess = f"; did you mean '{near[0]}'?" if near else ";"
    return f"{guess} known are: {', '.join(names) or 'none'}"
