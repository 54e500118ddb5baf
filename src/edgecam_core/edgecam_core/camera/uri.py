"""The ``source`` setting taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from edgecam_core.errors import SettingError
from edgecam_core.masking import masked_address


@dataclass(frozen=True)
class SourceUri:
    """``scheme`` in lower case, ``text`` as the user wrote it, ``rest`` what follows ``scheme:``."""

    scheme: str
    text: str
    rest: str

    @property
    def parts(self) -> SplitResult:
        return urlsplit(self.text)

    @property
    def path(self) -> str:
        """The path of a file or device: ``file:///a%20b`` and ``file:///a b`` alike give ``/a b``."""
        return unquote(self.rest.removeprefix("//"))

    def shown(self) -> str:
        """As it may be logged: without a password."""
        return masked_address(self.text)


def parse(source: str) -> SourceUri:
    """Take a source apart; a bare path to a device or file is understood too.

    Raises:
        SettingError: there is no scheme.
    """
    if source.startswith("/dev/video"):
        source = f"v4l2://{source}"
    elif source.startswith(("/", "./", "~/")):
        from pathlib import Path

        source = f"file://{Path(source).expanduser().absolute()}"
    match = re.match(r"([a-zA-Z][\w+.-]*):", source)
    if match is None:
        raise SettingError("source", source, "has no scheme; write e.g. file:///path/clip.mp4 or v4l2:///dev/video0")
    return SourceUri(match[1].lower(), source, source[match.end() :])
