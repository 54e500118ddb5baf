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

"""Calls services of other nodes; each call ends with the response or with an error after a timeout."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgecam_core.errors import EdgecamError
from rclpy.client import Client
from rclpy.node import Node

TIMEOUT = 5.0  # seconds; the default of a call
Done = Callable[[Any], None]
Failed = Callable[[EdgecamError], None]


@dataclass(frozen=True)
class _Call:
    client: Client
    future: Any
    timeout: float
    deadline: float
    failed: Failed


class ServiceCalls:
    """All methods and callbacks run on the executor's thread; none blocks.

    Args:
        node: the node that calls the services.
        on_fault: called with the location and the exception of a failed callback.
    """

    def __init__(self, node: Node, on_fault: Callable[[str, BaseException], object]) -> None:
        self._node = node
        self._on_fault = on_fault
        self._clients: dict[tuple[str, str], Client] = {}
        self._calls: dict[object, _Call] = {}

    def ready(self, node: str, service: str, kind: type) -> bool:
        """Whether the service ``<node>/<service>`` is available now."""
        return bool(self._client(node, service, kind).service_is_ready())

    def pending(self, key: object) -> bool:
        """Whether the call sent under this key has not ended yet."""
        return key in self._calls

    def send(
        self,
        key: object,
        node: str,
        service: str,
        kind: type,
        request: Any,
        done: Done,
        failed: Failed,
        timeout: float = TIMEOUT,
    ) -> None:
        """Call a service; either ``done`` is called with the response, or ``failed`` with an error.

        A call with the same key that is still in progress is dropped without calling either.
        """
        self.give_up(key)
        client = self._client(node, service, kind)
        future = client.call_async(request)
        self._calls[key] = _Call(client, future, timeout, time.monotonic() + timeout, failed)
        future.add_done_callback(lambda ended: self._ended(key, ended, f"response of {node}/{service}", done, failed))

    def expire(self) -> None:
        """End the calls that have timed out; called several times a second."""
        now = time.monotonic()
        for key, call in list(self._calls.items()):
            if now > call.deadline:
                self.give_up(key)
                call.failed(EdgecamError(f"{call.client.srv_name} did not respond within {call.timeout:.0f} s"))

    def close(self) -> None:
        for key in list(self._calls):
            self.give_up(key)
        for client in self._clients.values():
            self._node.destroy_client(client)
        self._clients.clear()

    def give_up(self, key: object) -> None:
        """Drop the call sent under this key, if there is one, and its response."""
        call = self._calls.pop(key, None)
        if call is not None:
            call.client.remove_pending_request(call.future)

    def _ended(self, key: object, future: Any, where: str, done: Done, failed: Failed) -> None:
        call = self._calls.get(key)
        if call is None or call.future is not future:
            return
        del self._calls[key]
        try:
            done(future.result())
        except Exception as error:  # the response is from another node and must not end this one
            self._on_fault(where, error)
            failed(EdgecamError(f"the {where} is invalid: {error}"))

    def _client(self, node: str, service: str, kind: type) -> Client:
        key = (node, service)
        if key not in self._clients:
            self._clients[key] = self._node.create_client(kind, f"{node}/{service}")
        return self._clients[key]
