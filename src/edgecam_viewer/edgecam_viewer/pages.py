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

"""The files of the pages, by a fixed table, and the headers of every response."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from aiohttp import web

PAGE = Path(__file__).parent / "page"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
TOKEN_PAGE = "token.html"  # asks for the token
# Read once, so that no name in a request becomes a path.
PAGE_FILES = {
    path.name: TYPES[path.suffix] for path in PAGE.iterdir() if path.suffix in TYPES and path.name != TOKEN_PAGE
}
ENTRIES = {"/": "index.html", "/label": "label.html", "/events": "events.html"}  # the addresses that users open
LOADER = (PAGE / "loader.js").read_text(encoding="utf-8")  # in the pages themselves; the policy allows only this text
LOADER_HASH = base64.b64encode(hashlib.sha256(LOADER.encode()).digest()).decode()
PUBLIC = frozenset(("/page/style.css", "/page/icon.svg"))  # needed by the token page
# The pages load nothing from other hosts and cannot be framed; other sites cannot embed any response.
HEADERS = {
    "Content-Security-Policy": f"default-src 'self'; script-src 'self' 'sha256-{LOADER_HASH}'; img-src 'self' blob:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def add_routes(app: web.Application) -> None:
    app.on_response_prepare.append(_add_headers)
    for path in ENTRIES:
        app.router.add_get(path, _page_file)
        app.router.add_post(path, _to_page)
    app.router.add_get("/page/{name}", _page_file)


def token_page(status: int, note: str) -> web.Response:
    """The page that asks for the token; ``note`` is the reason, in plain text."""
    html = (PAGE / TOKEN_PAGE).read_text(encoding="utf-8").replace("<!--note-->", note)
    return web.Response(status=status, text=html, content_type="text/html")


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


async def _to_page(request: web.Request) -> web.Response:
    """Redirect the form of TOKEN_PAGE if no token is needed."""
    return web.Response(status=303, headers={"Location": request.path})


async def _page_file(request: web.Request) -> web.Response:
    """A file of the pages by its name in the table; no path from a request reaches the file system."""
    name = request.match_info.get("name") or ENTRIES[request.path]
    if name not in PAGE_FILES:
        raise web.HTTPNotFound(text="no such page\n")
    text = (PAGE / name).read_text(encoding="utf-8")
    if name.endswith(".html"):
        text = text.replace("<!--loader-->", f"<script>{LOADER}</script>")
    return web.Response(text=text, content_type=PAGE_FILES[name])
