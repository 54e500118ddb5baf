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

r"""Text with substitutions, `$(name argument …)`, parsed into a tree.

The grammar is that of the ROS 2 launch front ends: arguments are separated by one space and may be quoted as a whole.
Inside quotes, spaces and the other kind of quote are text. `\` escapes the next character, so `\$(` is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ros2cli.launch.errors import SubstitutionError


@dataclass(frozen=True)
class Text:
    """Literal text, without escapes."""

    value: str


@dataclass(frozen=True)
class Call:
    """One substitution; its arguments are templates."""

    name: str
    arguments: tuple[Template, ...]


Template = tuple["Text | Call", ...]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_ESCAPE = re.compile(r"\\(.)")


def parse(text: str) -> Template:
    """Parse one attribute's text. Raises SubstitutionError."""
    return _TemplateReader(text).template(None)


def calls(template: Template) -> Iterator[Call]:
    """Every substitution in the template, nested ones included."""
    for part in template:
        if isinstance(part, Call):
            yield part
            for argument in part.arguments:
                yield from calls(argument)


def literal(template: Template) -> str | None:
    """The text; None if the template contains a substitution."""
    if any(isinstance(part, Call) for part in template):
        return None
    return "".join(part.value for part in template if isinstance(part, Text))


def describe(template: Template) -> str:
    """The template in the notation of `ros2 launch --show-args`."""
    return " + ".join(_describe(part) for part in template) or "''"


def unescape(text: str) -> str:
    r"""`\x` to `x`."""
    return _ESCAPE.sub(r"\1", text)


def _describe(part: Text | Call) -> str:
    if isinstance(part, Text):
        return f"'{part.value}'"
    inner = [describe(argument) for argument in part.arguments]
    if part.name in ("find-pkg-share", "find-pkg-prefix"):
        inner = [f"pkg={inner[0]}"]
    elif part.name == "eval":
        inner = [inner[0], f"[{inner[1] if len(inner) > 1 else _MATH}]"]
    elif part.name in ("var", "env"):
        del inner[1:]
    return f"{_CLASSES.get(part.name, part.name)}({', '.join(inner)})"


_MATH = "'math'"

_CLASSES = {
    "var": "LaunchConfig",
    "env": "EnvVar",
    "dirname": "ThisLaunchFileDir",
    "filename": "ThisLaunchFile",
    "find-pkg-share": "FindPackageShare",
    "find-pkg-prefix": "FindPackagePrefix",
    "eval": "PythonExpr",
    "find-exec": "FindExec",
    "anon": "AnonName",
    "command": "Command",
}


class _TemplateReader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _escaped(self) -> bool:
        return self.at > 0 and self.text[self.at - 1] == "\\"

    def _opens(self) -> bool:
        return self.text.startswith("$(", self.at) and not self._escaped()

    def _error(self, reason: str) -> SubstitutionError:
        return SubstitutionError(f"{reason} at column {self.at + 1} of '{self.text}'")

    def template(self, quote: str | None) -> Template:
        """Parse text and calls up to the end, or up to the closing quote."""
        parts: list[Text | Call] = []
        start = self.at
        while self.at < len(self.text) and not (self._peek() == quote and not self._escaped()):
            if self._opens():
                self._append_text(parts, start)
                parts.append(self.call(quote))
                start = self.at
            else:
                self.at += 1
        self._append_text(parts, start)
        if quote is not None and self._peek() != quote:
            raise self._error(f"no closing {quote}")
        return tuple(parts) if parts or quote is not None else (Text(""),)

    def _append_text(self, parts: list[Text | Call], start: int) -> None:
        if self.at > start:
            parts.append(Text(unescape(self.text[start : self.at])))

    def call(self, quote: str | None) -> Call:
        """Parse `$(name argument …)`; `quote` is the enclosing quote character, if any."""
        self.at += 2
        name = _NAME.match(self.text, self.at)
        if name is None:
            raise self._error("expected the name of a substitution")
        self.at = name.end()
        arguments: list[Template] = []
        while self._peek() == " ":
            self.at += 1
            arguments.append(self._argument(quote))
        if self._peek() != ")":
            raise self._error(f"expected ')' after $({name.group()} …")
        self.at += 1
        return Call(name.group(), tuple(arguments))

    def _argument(self, quote: str | None) -> Template:
        opening = self._peek()
        if quote is None and opening in ("'", '"') and opening:
            self.at += 1
            quoted = self.template(opening)
            self.at += 1
            return quoted
        parts: list[Text | Call] = []
        start = self.at
        while self.at < len(self.text):
            char = self._peek()
            if self._opens():
                self._append_text(parts, start)
                parts.append(self.call(quote))
                start = self.at
            elif not self._escaped() and (char in " )" or (quote is not None and char == quote)):
                break
            elif not self._escaped() and (char == "(" or (quote is None and char in "'\"")):
                raise self._error(f"unexpected {char!r}")
            elif char == " ":  # a backslash does not escape a space
                break
            else:
                self.at += 1
        self._append_text(parts, start)
        if not parts:
            raise self._error("expected an argument")
        return tuple(parts)
