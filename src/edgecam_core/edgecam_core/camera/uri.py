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

"""Parses the ``source`` setting."""

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
        """The path of a file or device: ``file:///a%20b`` and ``file:///a b`` both mean ``/a b``."""
        return unquote(self.rest.removeprefix("//"))

    def masked(self) -> str:
        """The source for logs, without the password."""
        return masked_address(self.text)


@dataclass(frozen=True)
class Login:
    """User and password for a network source; both empty: none."""

    user: str = ""
    password: str = ""


_PASSWORD = (
    "percent-encode special characters of a password (%40 for the at sign, %2F slash, %3A colon, %23 hash, "
    "%3F question mark, %5B and %5D brackets, %20 space), or set rtsp_user and rtsp_password"
)
_LONGEST = 4096  # characters; no address and no file path is longer
NETWORK = ("rtsp", "rtsps", "http", "https")


def check_address(uri: SourceUri) -> None:
    """Check the address of a network source.

    Raises:
        SettingError: the address is ambiguous or invalid; the text states the remedy.
    """
    if uri.scheme not in NETWORK:
        return
    authority = re.match(r"//([^/?#]*)", uri.rest)
    host = authority[1] if authority else ""
    after = uri.rest[len(host) + 2 :]
    if "@" in after and "@" not in host and ":" in host:
        raise SettingError("source", uri.masked(), f"has an at sign after its host; {_PASSWORD}")
    if any(character.isspace() or not character.isprintable() for character in host):
        raise SettingError("source", uri.masked(), f"has a space before its path; {_PASSWORD}")
    try:
        parts = uri.parts
        _ = parts.hostname, parts.port
    except ValueError as error:
        remedy = _PASSWORD if "@" in uri.rest else "write host:port with a port from 1 to 65535, IPv6 as [::1]:port"
        raise SettingError(
            "source", uri.masked(), f"is not a valid address ({_reason(error, uri)}); {remedy}"
        ) from None
    if parts.port == 0:
        raise SettingError("source", uri.masked(), "has port 0; ports go from 1 to 65535")


def _reason(error: ValueError, uri: SourceUri) -> str:
    """Python's reason, unless it may quote part of the password."""
    return "its port or host is invalid" if "@" in uri.rest else str(error)


def parse(source: str) -> SourceUri:
    """Parse a source: a URI, or the path of a device or file.

    Raises:
        SettingError: the source has no scheme, or is too long.
    """
    if len(source) > _LONGEST and not source.startswith("pipeline:"):
        raise SettingError("source", f"{source[:16]}…", f"has {len(source)} characters; the maximum is {_LONGEST}")
    if source.startswith("/dev/video"):
        source = f"v4l2://{source}"
    elif source.startswith(("/", "./", "~/")):
        from pathlib import Path

        scheme = "mcap" if source.partition("?")[0].endswith(".mcap") else "file"
        source = f"{scheme}://{Path(source).expanduser().absolute()}"
    match = re.match(r"([a-zA-Z][\w+.-]*):", source)
    if match is None:
        raise SettingError("source", source, "has no scheme; write e.g. file:///path/clip.mp4 or v4l2:///dev/video0")
    return SourceUri(match[1].lower(), source, source[match.end() :])
