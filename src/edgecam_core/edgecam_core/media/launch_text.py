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

"""gst-launch text: quoting values, and finding the elements in it. Pure functions."""

from __future__ import annotations

import re


def quoted(value: str) -> str:
    """A property value as launch text: quoted, so that blanks, ``!`` and quotes in it are safe."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


_TOKEN = re.compile(r"""!|(?:"(?:\\.|[^"\\])*"|'[^']*'|\{[^}]*\}|\[[^]]*\]|[^\s!"'{[])+""")


def element_names(text: str) -> list[str]:
    """The element names of a launch text in order: first words, and words after a ``!`` or a pad reference.

    Properties, caps and references (``name.``, also quoted ones with blanks) are passed over, so that a missing
    element is found by name before GStreamer's parser stops at the first problem.
    """
    names = []
    for token in _TOKEN.findall(text):
        if re.fullmatch(r"[a-zA-Z_][\w-]*", token):
            names.append(token)
    return names
