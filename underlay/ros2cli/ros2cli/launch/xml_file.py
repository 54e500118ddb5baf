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

"""Parses XML into elements with line numbers (xml.etree does not provide them)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.parsers import expat

from ros2cli.launch.errors import LaunchError


@dataclass
class Element:
    """One tag. `line` counts from 1."""

    tag: str
    attributes: dict[str, str]
    file: Path
    line: int
    children: list[Element] = field(default_factory=list)

    def error(self, message: str) -> LaunchError:
        """The error to raise for this tag."""
        return LaunchError(f"{self.file}:{self.line}: <{self.tag}>: {message}")


def read_xml(path: Path) -> Element:
    """The root element of a file. Raises LaunchError if it is unreadable, not well-formed, or contains text."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LaunchError(f"cannot read launch file '{path}': {error.strerror}") from error
    builder = _Builder(path)
    try:
        builder.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise LaunchError(f"{path}:{error.lineno}: not well-formed XML: {error}") from error
    assert builder.root is not None
    return builder.root


class _Builder:
    def __init__(self, path: Path) -> None:
        self.root: Element | None = None
        self._path = path
        self._open: list[Element] = []
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, attributes, self._path, self.parser.CurrentLineNumber)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def _end(self, _tag: str) -> None:
        self._open.pop()

    def _text(self, text: str) -> None:
        if text.strip():
            here = replace(self._open[-1], line=self.parser.CurrentLineNumber)
            raise here.error(f"text between tags has no meaning here: {text.strip()!r}")
