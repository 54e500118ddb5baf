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

"""Models that wait for approval (``edgecam improve --watch``): shown on the page, deployed with one click."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from aiohttp import web
from edgecam_core.cache import CacheError
from edgecam_core.errors import ModelError
from edgecam_core.models import proposal
from edgecam_core.models.store import ModelStore

from edgecam_viewer.answers import json_object, refusal

T = TypeVar("T")
# A report contains its styles and images; it must not load or run anything.
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'"


class Proposals:
    """Serves the proposals of one model store. Its requests are subject to the server's token and Origin checks.

    An approval names the version and the hash shown on the page, so that it never deploys a newer version.
    """

    def __init__(self, store: ModelStore | None = None) -> None:
        self._store = store or ModelStore()

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/models/proposals", self._list)
        app.router.add_get("/models/report/{name}", self._report)
        app.router.add_post("/models/approve", self._approve)
        app.router.add_post("/models/decline", self._decline)

    async def _do(self, work: Callable[[ModelStore], T]) -> T:
        """Run ``work`` in a thread; an error becomes a response with its text."""
        try:
            return await asyncio.to_thread(work, self._store)
        except ModelError as error:
            raise refusal(web.HTTPConflict, str(error)) from None
        except (CacheError, OSError) as error:
            raise refusal(web.HTTPInsufficientStorage, str(error)) from None

    async def _list(self, _request: web.Request) -> web.Response:
        found = await self._do(proposal.all_in)
        rows = [
            {
                "name": one.name,
                "state": one.state,
                "text": one.text,
                "version": one.version,
                "sha256": one.sha256,
                "report": one.report is not None,
                "figures": dict(one.figures),
                "at": one.at,
            }
            for one in found
        ]
        return web.json_response(rows)

    async def _report(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        found = next((one for one in await self._do(proposal.all_in) if one.name == name), None)
        if found is None or found.report is None:
            raise refusal(web.HTTPNotFound, "the report does not exist, or no longer exists")
        headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": REPORT_POLICY}
        return web.FileResponse(found.report, headers=headers)

    async def _approve(self, request: web.Request) -> web.Response:
        name, version, sha256 = await _offer(request)
        await self._do(lambda store: proposal.approve(store, name, version=version, sha256=sha256))
        return await self._list(request)

    async def _decline(self, request: web.Request) -> web.Response:
        name, version, _ = await _offer(request)
        await self._do(lambda store: proposal.decline(store, name, version=version))
        return await self._list(request)


async def _offer(request: web.Request) -> tuple[str, int, str]:
    row: dict[str, Any] = await json_object(request)
    name, version, sha256 = row.get("name"), row.get("version"), row.get("sha256")
    if not (isinstance(name, str) and type(version) is int and isinstance(sha256, str)):
        raise refusal(web.HTTPBadRequest, "'name' and 'sha256' must be texts, 'version' a number")
    return name, version, sha256
