"""Passwords made unreadable in what is logged, shown or published."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"(?<=//)([^/@:\s]*):[^/@\s]*@")
_PROPERTY = re.compile(r"""\b((?:user|proxy)-pw\s*=\s*)("(?:\\.|[^"\\])*"|'[^']*'|[^\s"']+)""")


def masked(text: str) -> str:
    """The text with ``***`` for the password of any ``//user:password@`` and any ``user-pw="password"``."""
    return _PROPERTY.sub(r'\1"***"', _ADDRESS.sub(r"\1:***@", text))
