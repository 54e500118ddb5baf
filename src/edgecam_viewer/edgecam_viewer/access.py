"""Who may see the page: a token at public addresses, and no foreign web site as go-between anywhere."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket

from aiohttp import web
from edgecam_core.counters import Counters

from edgecam_viewer.settings import is_loopback


def cookie_name(request: web.Request) -> str:
    """Browsers keep cookies per host, not per port: two viewers of one machine must not share the name."""
    address = request.get_extra_info("sockname")
    return f"edgecam_token_{address[1] if address else 0}"


def host_name(host: str) -> str:
    """The name in a Host header or an authority, without the port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def is_own_name(host: str, bound: str) -> bool:
    """True for a Host header that cannot come from a rebound DNS name of somebody else: an address or our own name."""
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
    """Decides on every request. ``token`` is empty when none is asked for (loopback without a token set)."""

    def __init__(self, host: str, token: str) -> None:
        self.host = host
        self.token = token or ("" if is_loopback(host) else secrets.token_urlsafe(18))
        self.counters = Counters()

    @web.middleware
    async def middleware(self, request: web.Request, handler) -> web.StreamResponse:  # type: ignore[no-untyped-def]
        refusal = self._refusal(request)
        if refusal is not None:
            self.counters.add("request refused")
            return refusal
        given = request.query.get("token", "")
        if given and self.token and request.path == "/":
            # The token leaves the address bar at once: addresses end up in histories and screenshots.
            answer = web.HTTPSeeOther("/")
            secure = request.scheme == "https"
            answer.set_cookie(
                cookie_name(request), self.token, httponly=True, samesite="Strict", secure=secure, path="/"
            )
            raise answer
        return await handler(request)

    def _refusal(self, request: web.Request) -> web.Response | None:
        host = request.headers.get("Host", "")
        if not is_own_name(host, self.host):
            return web.Response(status=421, text=f"{host[:100]!r} is not a name of this machine\n")
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != host:
            return web.Response(status=403, text="requests from other web sites are refused\n")
        if not self.token:
            return None
        if any(self._is_token(given) for given in _given(request)):
            return None
        remedy = "open the address the viewer printed at its start; it ends in ?token=…"
        return web.Response(status=401, text=f"a token is needed: {remedy}\n")

    def _is_token(self, given: str) -> bool:
        # Bytes of a header that are no UTF-8 arrive as lone surrogates.
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self.token.encode())


def _given(request: web.Request) -> list[str]:
    bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return [given for given in (request.query.get("token"), request.cookies.get(cookie_name(request)), bearer) if given]
