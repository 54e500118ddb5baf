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

"""Quotes values for launch text and finds its elements. Pure functions."""

from __future__ import annotations

import re


def quoted(value: str) -> str:
    """A property value quoted for launch text, so that it may contain blanks, ``!`` and quotes."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


_TOKEN = re.compile(r"""!|(?:"(?:\\.|[^"\\])*"|'[^']*'|\{[^}]*\}|\[[^]]*\]|[^\s!"'{[])+""")


def element_names(text: str) -> list[str]:
    """The element names of a launch text, in order.

    Properties, caps and references (``name.``, also quoted with blanks) are skipped. With the names, a missing element
    is reported before GStreamer's parser stops at the first problem.
    """
    names = []
    for token in _TOKEN.findall(text):
        if re.fullmatch(r"[a-zA-Z_][\w-]*", token):
            names.append(token)
    return names
