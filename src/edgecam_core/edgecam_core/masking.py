"""Credentials made unreadable in what is logged, shown or published.

Errs on the side of hiding: what could be a password is hidden, even where it is a port and a path with an ``@``.
"""

from __future__ import annotations

import re

HIDDEN = "***"
_SECRET = r"(?:pass(?:word|wd|phrase|code)|pwd|secret|token|credentials?|api[_-]?key|(?<![a-z])pw)s?"
_SHORT = r"(?:[\w-]*pass?|pw|key|auth|sig|signature|code)"  # in addresses only: GStreamer's x264enc has a property pass

# The last @ counts: a password typed as it is may hold @, / and spaces. A new address begins after a blank or quote.
_NEXT_ADDRESS = r"""[\s"'(,;=]\w[\w+.-]*://"""
_USERINFO = re.compile(rf"(//[^/:\s\"']*):(?:(?!{_NEXT_ADDRESS})[^\n])*@")
_QUOTED = re.compile(rf"""(?i)([\w-]*{_SECRET}["']?\s*(?::=|[=:])\s*)("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""")
_PLAIN = re.compile(rf"""(?i)([\w-]*{_SECRET}\s*(?::=|=)\s*)(?!["'])[^\s"'&]+""")
_IN_ADDRESS = re.compile(rf"""(?i)([?&;/_]{_SHORT}=)[^\s"'&]+""")
_HEADER = re.compile(r"(?i)(authorization\s*[:=]\s*)[^\n\"']+")
_ADDRESS = re.compile(r"\s*[A-Za-z][\w+.-]*://")
_VALUE = re.compile(rf"(?i)([\w-]*(?:{_SECRET}|(?<=[?&;/_]){_SHORT})=)[^&]+")


def masked(text: str) -> str:
    """The text, of any kind, with ``***`` for each credential that is recognisable in it.

    Recognised: ``//user:password@`` with any character in the password, ``password=``, ``token=`` and the like (in
    queries, paths, GStreamer properties, launch arguments and JSON), ``key=``, ``pass=``, ``auth=`` in addresses, and
    the header Authorization. Masking twice changes nothing.
    """
    text = _USERINFO.sub(rf"\1:{HIDDEN}@", text)
    text = _QUOTED.sub(_in_its_quotes, text)
    text = _PLAIN.sub(_property, text)
    text = _IN_ADDRESS.sub(rf"\g<1>{HIDDEN}", text)
    return _HEADER.sub(rf"\g<1>{HIDDEN}", text)


def masked_address(address: str) -> str:
    """As ``masked`` for a text that is one address and nothing else: its values may hold blanks and quotes."""
    if not _ADDRESS.match(address):
        return masked(address)
    return masked(_VALUE.sub(rf"\g<1>{HIDDEN}", address))


def _in_its_quotes(found: re.Match[str]) -> str:
    quote = found[2][0]
    return f"{found[1]}{quote}{HIDDEN}{quote}"


def _property(found: re.Match[str]) -> str:
    """``user-pw=x`` becomes ``user-pw="***"``, so that pipeline text stays such."""
    return f'{found[1]}"{HIDDEN}"' if found[1].rstrip(" =").endswith("-pw") else f"{found[1]}{HIDDEN}"
