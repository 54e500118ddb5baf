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

"""Masks credentials in texts that are logged, shown or published.

When in doubt, the text is masked: what could be a password is hidden, even if it is a port and a path with an ``@``.
"""

from __future__ import annotations

import re

HIDDEN = "***"
_SECRET = r"(?:pass(?:word|wd|phrase|code)|pwd|secret|token|credentials?|api[_-]?key|(?<![a-z])pw)s?"
_SHORT = r"(?:(?:[^\W_]|-)*pass?|pw|key|auth|sig|signature|code)"  # only in addresses: x264enc has a property "pass"

# Each pattern begins with text that the rest of it cannot contain, so that matching takes time proportional to the
# length of the text. The last @ counts: a password that is not percent-encoded may contain @, / and spaces, and ends
# where a new address begins.
_NEXT_ADDRESS = re.compile(r"""\n|(?=[\s"'(,;=]\w[\w+.-]*://)""")
_LOGIN = re.compile(r"""//[^/:\s"']*:""")
_QUOTED = re.compile(rf"""(?i)({_SECRET}["']?\s*(?::=|[=:])\s*)("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""")
_PLAIN = re.compile(rf"""(?i)(-?{_SECRET}\s*(?::=|=)\s*)(?!["'])[^\s"'&]+""")
_IN_ADDRESS = re.compile(rf"""(?i)([?&;/_]{_SHORT}=)[^\s"'&]+""")
_HEADER = re.compile(r"(?i)(authorization\s*[:=]\s*)[^\n\"']+")
_ADDRESS = re.compile(r"\s*[A-Za-z][\w+.-]*://")
_VALUE = re.compile(rf"(?i)((?:{_SECRET}|[?&;/_]{_SHORT})=)[^&]+")


def masked(text: str) -> str:
    """Any text, with ``***`` for each credential that is recognised in it.

    Recognised are ``//user:password@`` with any character in the password, ``password=``, ``token=`` and similar names
    (in queries, paths, GStreamer properties, launch arguments and JSON), ``key=``, ``pass=`` and ``auth=`` in
    addresses, and the Authorization header. Masking a masked text does not change it.
    """
    text = _without_logins(text)
    text = _QUOTED.sub(_in_its_quotes, text)
    text = _PLAIN.sub(_property, text)
    text = _IN_ADDRESS.sub(rf"\g<1>{HIDDEN}", text)
    return _HEADER.sub(rf"\g<1>{HIDDEN}", text)


def masked_address(address: str) -> str:
    """Like ``masked``, for a text that is a single address: its values may contain blanks and quotes."""
    if not _ADDRESS.match(address):
        return masked(address)
    return masked(_VALUE.sub(rf"\g<1>{HIDDEN}", address))


def _without_logins(text: str) -> str:
    """The text with ``//user:***@`` in each address."""
    ends = [found.end() for found in _NEXT_ADDRESS.finditer(text)]
    parts = (text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True))
    return "".join(_without_login(part) for part in parts)


def _without_login(address: str) -> str:
    at = address.rfind("@")
    login = _LOGIN.search(address, 0, max(at, 0))
    if login and address.startswith(f"{HIDDEN}@", login.end()):  # already masked; a later @ is text
        return address
    return f"{address[: login.end()]}{HIDDEN}{address[at:]}" if login else address


def _in_its_quotes(found: re.Match[str]) -> str:
    quote = found[2][0]
    return f"{found[1]}{quote}{HIDDEN}{quote}"


def _property(found: re.Match[str]) -> str:
    """``user-pw=x`` becomes ``user-pw="***"``, so that launch text remains valid."""
    return f'{found[1]}"{HIDDEN}"' if found[1].rstrip(" =").endswith("-pw") else f"{found[1]}{HIDDEN}"
