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

"""Credentials made unreadable in what is logged, shown or published.

Errs on the side of hiding: what could be a password is hidden, even where it is a port and a path with an ``@``.
"""

from __future__ import annotations

import re

HIDDEN = "***"
_SECRET = r"(?:pass(?:word|wd|phrase|code)|pwd|secret|token|credentials?|api[_-]?key|(?<![a-z])pw)s?"
_SHORT = r"(?:(?:[^\W_]|-)*pass?|pw|key|auth|sig|signature|code)"  # in addresses only: x264enc has a property pass

# Each pattern begins with what the rest of it cannot contain, so that a long text costs time in proportion to its
# length. The last @ counts: a password typed as it is may hold @, / and spaces, and ends where a new address begins.
_NEXT_ADDRESS = re.compile(r"""\n|(?=[\s"'(,;=]\w[\w+.-]*://)""")
_LOGIN = re.compile(r"""//[^/:\s"']*:""")
_QUOTED = re.compile(rf"""(?i)({_SECRET}["']?\s*(?::=|[=:])\s*)("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""")
_PLAIN = re.compile(rf"""(?i)(-?{_SECRET}\s*(?::=|=)\s*)(?!["'])[^\s"'&]+""")
_IN_ADDRESS = re.compile(rf"""(?i)([?&;/_]{_SHORT}=)[^\s"'&]+""")
_HEADER = re.compile(r"(?i)(authorization\s*[:=]\s*)[^\n\"']+")
_ADDRESS = re.compile(r"\s*[A-Za-z][\w+.-]*://")
_VALUE = re.compile(rf"(?i)((?:{_SECRET}|[?&;/_]{_SHORT})=)[^&]+")


def masked(text: str) -> str:
    """The text, of any kind, with ``***`` for each credential that is recognisable in it.

    Recognised: ``//user:password@`` with any character in the password, ``password=``, ``token=`` and the like (in
    queries, paths, GStreamer properties, launch arguments and JSON), ``key=``, ``pass=``, ``auth=`` in addresses, and
    the header Authorization. Masking twice changes nothing.
    """
    text = _without_logins(text)
    text = _QUOTED.sub(_in_its_quotes, text)
    text = _PLAIN.sub(_property, text)
    text = _IN_ADDRESS.sub(rf"\g<1>{HIDDEN}", text)
    return _HEADER.sub(rf"\g<1>{HIDDEN}", text)


def masked_address(address: str) -> str:
    """As ``masked`` for a text that is one address and nothing else: its values may hold blanks and quotes."""
    if not _ADDRESS.match(address):
        return masked(address)
    return masked(_VALUE.sub(rf"\g<1>{HIDDEN}", address))


def _without_logins(text: str) -> str:
    """``//user:***@`` in each address of the text."""
    ends = [found.end() for found in _NEXT_ADDRESS.finditer(text)]
    parts = (text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True))
    return "".join(_without_login(part) for part in parts)


def _without_login(address: str) -> str:
    at = address.rfind("@")
    login = _LOGIN.search(address, 0, max(at, 0))
    if login and address.startswith(f"{HIDDEN}@", login.end()):  # hidden already; an @ behind it is text
        return address
    return f"{address[: login.end()]}{HIDDEN}{address[at:]}" if login else address


def _in_its_quotes(found: re.Match[str]) -> str:
    quote = found[2][0]
    return f"{found[1]}{quote}{HIDDEN}{quote}"


def _property(found: re.Match[str]) -> str:
    """``user-pw=x`` becomes ``user-pw="***"``, so that pipeline text stays such."""
    return f'{found[1]}"{HIDDEN}"' if found[1].rstrip(" =").endswith("-pw") else f"{found[1]}{HIDDEN}"
