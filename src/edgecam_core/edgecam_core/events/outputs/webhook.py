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

"""The webhook: sends every begin and end as an HTTP POST of JSON, signed with HMAC-SHA256."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import urllib.error
import urllib.request
from typing import Any

from edgecam_core.events.outputs.message import Outgoing, OutputError, OutputRefused, read_secret
from edgecam_core.events.settings import EventsSettings
from edgecam_core.masking import masked_address

_TIMEOUT = 10.0
_TEMPORARY = {408, 425, 429}  # every other status from 300 to 499 is a permanent refusal


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a redirected POST would become a GET without the event."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Webhook:
    """Sends events to one URL.

    With a secret, the header ``X-Edgecam-Signature: sha256=...`` is the HMAC of the body in hex. The header
    ``X-Edgecam-Delivery`` is the same in all attempts to deliver an event.
    """

    name = "webhook"

    def __init__(self, url: str, secret: bytes) -> None:
        self._url, self._secret = url, secret
        self._opener = urllib.request.build_opener(_NoRedirect)

    def send(self, outgoing: Outgoing) -> None:
        body = outgoing.json()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "edgecam",
            "X-Edgecam-Delivery": f"{outgoing.event.id}-{outgoing.event.state}",
        }
        if self._secret:
            headers["X-Edgecam-Signature"] = f"sha256={hmac.new(self._secret, body, hashlib.sha256).hexdigest()}"
        request = urllib.request.Request(self._url, body, headers, method="POST")
        try:
            with self._opener.open(request, timeout=_TIMEOUT):
                pass
        except urllib.error.HTTPError as error:
            text = f"{masked_address(self._url)} answers {error.code} {error.reason}"
            refused = 300 <= error.code < 500 and error.code not in _TEMPORARY
            raise (OutputRefused if refused else OutputError)(text) from error
        except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
            reason = getattr(error, "reason", error)
            raise OutputError(f"{masked_address(self._url)} cannot be reached: {reason}") from error

    def update(self, settings: EventsSettings) -> None:
        pass

    def close(self) -> None:
        pass


def make(settings: EventsSettings, _cameras: tuple[str, ...]) -> Webhook:
    """The webhook. Raises SettingError if the secret cannot be read."""
    secret = read_secret("webhook_secret_file", settings.webhook_secret_file) if settings.webhook_secret_file else b""
    return Webhook(settings.webhook_url, secret)
