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

"""JSON requests and refusals of the web server."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web


async def json_object(request: web.Request) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        HTTPBadRequest: the body is not a JSON object.
    """
    try:
        row = await request.json()
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        row = None
    if not isinstance(row, dict):
        raise refusal(web.HTTPBadRequest, "the request must contain a JSON object")
    return row


def refusal(kind: type[web.HTTPException], text: str, **more: Any) -> web.HTTPException:
    """An HTTP exception of this kind with ``{"error": text, ...}``, for the caller to raise."""
    return kind(text=json.dumps({"error": text, **more}), content_type="application/json")
