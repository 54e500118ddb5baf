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

"""Makes text from other nodes and browsers safe for a terminal, a log line and the page."""

from __future__ import annotations


def one_line(text: str, limit: int) -> str:
    """``text`` on one line, truncated to ``limit`` characters.

    White space becomes a space; control and formatting characters (terminal escapes, lone surrogates, text direction)
    become U+FFFD.
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(one if one.isprintable() else " " if one.isspace() else "\ufffd" for one in cut)
