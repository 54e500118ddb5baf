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

"""Access control: a token at public addresses; requests caused by other web sites are refused everywhere."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import socket

from aiohttp import web
from edgecam_core.counters import Counters

from edgecam_viewer import pages
from edgecam_viewer.settings import is_loopback


def cookie_name(request: web.Request) -> str:
    """The name of the cookie for the token. Browsers keep cookies per host, so the name contains the port."""
    address = request.get_extra_info("sockname")
    return f"edgecam_token_{address[1] if address else 0}"


def host_name(host: str) -> str:
    """The name in a Host header or an authority, without the port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def is_own_name(host: str, bound: str) -> bool:
    """Whether a Host header is an address or a name of this machine, so that it cannot be a rebound DNS name."""
    name = host_name(host).lower().rstrip(".")
    own = socket.gethostname().lower()
    if name in ("localhost", bound.lower(), own, f"{own}.local", socket.getfqdn().lower()):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Access:
    """Checks every request. ``token`` is empty if none is required (loopback address and no token set)."""

    def __init__(self, host: str, token: str) -> None:
        self.host = host
        self.token = token or ("" if is_loopback(host) else secrets.token_urlsafe(18))
        # Cookies carry ASCII only, and few of its characters.
        self._cookie = hashlib.sha256(self.token.encode()).hexdigest()
        self.counters = Counters()

    @web.middleware
    async def middleware(self, request: web.Request, handler) -> web.StreamResponse:  # type: ignore[no-untyped-def]
        refusal = _foreign(request, self.host)
        if refusal is not None:
            self.counters.add("request refused: from another web site")
            return refusal
        if not self.token:
            return await handler(request)
        if request.path in pages.ENTRIES and request.method == "POST":
            form = await request.post()
            return self._enter(request, str(form.get("token", "")).strip())
        if request.path in pages.ENTRIES and "token" in request.query:
            # Remove the token from the address bar at once, because addresses end up in histories and screenshots.
            return self._enter(request, request.query["token"])
        if request.path in pages.PUBLIC or self._knows_token(request):
            return await handler(request)
        self.counters.add("request refused: no token")
        if request.path in pages.ENTRIES:
            return pages.token_page(401, "")
        remedy = "open the address that the viewer printed when it started; it ends in ?token=…"
        return web.Response(status=401, text=f"a token is needed: {remedy}\n")

    def _enter(self, request: web.Request, token: str) -> web.Response:
        """The redirection to the page with the token in a cookie, or the token page again."""
        if not self._is_token(token):
            self.counters.add("request refused: wrong token")
            text = "This is not the token of this viewer. A token made by the viewer itself ends when it stops."
            return pages.token_page(401, text)
        answer = web.Response(status=303, headers={"Location": request.path})
        answer.set_cookie(
            cookie_name(request), self._cookie, httponly=True, samesite="Strict", secure=request.secure, path="/"
        )
        return answer

    def _knows_token(self, request: web.Request) -> bool:
        """Whether the token is in the request's query or Authorization header, or its hash in the cookie."""
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return (
            self._is_token(request.query.get("token", ""))
            or self._is_token(bearer)
            or _same(request.cookies.get(cookie_name(request), ""), self._cookie)
        )

    def _is_token(self, text: str) -> bool:
        return _same(text, self.token)


def _same(text: str, secret: str) -> bool:
    # Header bytes that are not UTF-8 arrive as lone surrogates.
    return hmac.compare_digest(text.encode("utf-8", "surrogatepass"), secret.encode())


def _foreign(request: web.Request, bound: str) -> web.Response | None:
    """The refusal of a request that another web site caused a browser to send; None for other requests."""
    host = request.headers.get("Host", "")
    if not is_own_name(host, bound):
        return web.Response(status=421, text=f"{host[:100]!r} is not a name of this machine\n")
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "none")
    # Another site may link to the page, but must not embed it.
    opened = (
        request.path in pages.ENTRIES
        and request.method == "GET"
        and request.headers.get("Sec-Fetch-Dest") == "document"
    )
    if (origin is not None and origin.partition("://")[2] != host) or (
        site not in ("same-origin", "none") and not opened
    ):
        return web.Response(status=403, text="requests from other web sites are refused\n")
    return None
