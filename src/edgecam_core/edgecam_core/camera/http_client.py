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

"""HTTP GET with redirects and login (basic and digest) that another thread can end."""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import ssl
from urllib.parse import urljoin, urlsplit
from urllib.request import HTTPDigestAuthHandler, HTTPPasswordMgrWithDefaultRealm, Request, parse_http_list
from urllib.request import parse_keqv_list as parse_pairs

from edgecam_core.camera.uri import Login
from edgecam_core.errors import SourceError
from edgecam_core.masking import masked

_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 5
_LOGIN = "set rtsp_user and rtsp_password, or write both into the source"


class Response:
    """An HTTP response whose body is read in pieces.

    ``url`` is the address after redirects, ``content_type`` is in lower case without parameters, ``length`` is the
    size of the body in bytes or None.
    """

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse, url: str) -> None:
        self._connection = connection
        self._socket = connection.sock
        self._response = response
        self.url = url
        self.content_type = response.headers.get_content_type() if "Content-Type" in response.headers else ""
        length = response.headers.get("Content-Length", "")
        self.length = int(length) if length.isdecimal() else None

    def read(self) -> bytes:
        """The bytes received so far; waits up to the timeout for the first byte. Empty at the end.

        Raises:
            SourceError: the connection is lost or times out.
        """
        try:
            return self._response.read1(1 << 16)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise SourceError(f"the connection to {masked(self.url)} is lost: {_why(error)}") from error

    def close(self) -> None:
        """Close the connection; this also ends a read that waits in another thread."""
        with contextlib.suppress(OSError, AttributeError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._connection.close()


def get(url: str, login: Login, timeout: float) -> Response:
    """Request ``url``, which contains no credentials; each step waits up to ``timeout`` seconds.

    Raises:
        SourceError: no usable response; the text states the reason and the remedy.
    """
    home = urlsplit(url).netloc
    authorization = ""
    for _ in range(_MAX_REDIRECTS + 2):
        connection, response = _request(url, authorization if urlsplit(url).netloc == home else "", timeout)
        if response.status in _REDIRECTS and (target := response.headers.get("Location")):
            connection.close()
            url = urljoin(url, target)
            if urlsplit(url).scheme not in ("http", "https"):
                raise SourceError(f"the server redirects to {masked(url)}; use that as the source")
            continue
        if response.status == 401 and login.user and not authorization:
            authorization = _authorization(response.headers.get_all("WWW-Authenticate") or [], url, login)
            connection.close()
            if authorization:
                continue
        if response.status in (401, 403):
            connection.close()
            what = "refuses this user and password" if login.user else "requires a user and password"
            raise SourceError(f"the server {what} (HTTP status {response.status}); {_LOGIN}")
        if response.status != 200:
            connection.close()
            raise SourceError(
                f"the server responds with HTTP status {response.status} {response.reason}; check the path"
            )
        return Response(connection, response, url)
    raise SourceError(f"the server redirects more than {_MAX_REDIRECTS} times; check the address")


def _request(
    url: str, authorization: str, timeout: float
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers = {"User-Agent": "edgecam", "Accept": "*/*"}
    if authorization:
        headers["Authorization"] = authorization
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.connect()
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path.replace(" ", "%20"), headers=headers)
        held = connection.sock  # http.client releases it if the server closes after its response
        response = connection.getresponse()
        connection.sock = held
        return connection, response
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        connection.close()
        remedy = "check the address; is the server running?"
        if isinstance(error, ssl.SSLError):
            remedy = "its certificate cannot be verified; install its authority on this machine, or use http://"
        raise SourceError(f"{parts.hostname}:{parts.port or parts.scheme}: {_why(error)}; {remedy}") from error


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no response in time"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _authorization(challenges: list[str], url: str, login: Login) -> str:
    """The header for the strongest supported challenge; empty if there is none."""
    found = {challenge.split(" ", 1)[0].lower(): challenge for challenge in challenges}
    if "digest" in found:
        pairs = parse_pairs(list(filter(None, parse_http_list(found["digest"].split(" ", 1)[1]))))
        manager = HTTPPasswordMgrWithDefaultRealm()
        manager.add_password(None, url, login.user, login.password)
        try:
            value = HTTPDigestAuthHandler(manager).get_authorization(Request(url), pairs)
        except (ValueError, KeyError):
            value = None
        return f"Digest {value}" if value else ""
    if "basic" in found:
        return "Basic " + base64.b64encode(f"{login.user}:{login.password}".encode()).decode("ascii")
    return ""
