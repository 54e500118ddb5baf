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

"""Splits launch text into tokens. Pure; also works for elements that are not installed."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Order matters: caps before properties, because video/x-raw,width=1 also contains an equals sign.
_VALUE = r"""(?:\([^)]*\)\s*)?(?:"(?:\\.|[^"\\])*"|'[^']*'|\{[^}]*\}|\[[^\]]*\]|[^\s,!;]+)"""
_PIECE = re.compile(
    rf"""\s*(?:
    (?P<link>!)
  | (?P<caps>["']?[a-z]+/[\w.+-]+(?:\([\w:, ]+\))?(?:\s*[,;]\s*[\w/.+-]+(?:\([\w:, ]+\))?(?:\s*=\s*{_VALUE})?)*["']?)
  | (?P<property>[A-Za-z_][\w:-]*\s*=\s*(?:"(?:\\.|[^"\\])*"|'[^']*'|[^\s]+))
  | (?P<reference>[A-Za-z_]?[\w-]*\.[\w-]*)
  | (?P<group>[()])
  | (?P<element>[A-Za-z_][\w-]*)
  | (?P<other>\S+)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Token:
    """One token; ``kind`` is link, caps, property, reference (``name.`` or ``name.pad``), group, element or other."""

    kind: str
    text: str

    @property
    def name(self) -> str:
        """The name of a property."""
        return self.text.partition("=")[0].strip()

    @property
    def value(self) -> str:
        """The value of a property without its quotes."""
        text = self.text.partition("=")[2].strip()
        return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def tokens(text: str) -> list[Token]:
    """The tokens in order, without a leading ``gst-launch-1.0`` and its options and a trailing ``-e``."""
    text = re.sub(r"^\s*gst-launch-1\.0(\s+-\S+)*", "", text.replace("\\\n", " "))
    text = re.sub(r"\s-e\s*$", "", text)
    found = []
    for match in _PIECE.finditer(text):
        kind = match.lastgroup
        if kind:
            found.append(Token(kind, match[kind].strip()))
    return found
