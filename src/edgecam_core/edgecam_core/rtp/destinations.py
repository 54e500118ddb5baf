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

"""The destinations of a stream: the resolved addresses, and one socket for each address family."""

from __future__ import annotations

import socket

from edgecam_core.counters import Counters
from edgecam_core.rtp import sockets
from edgecam_core.rtp.settings import SenderSettings, split_address


class Destinations:
    """Sends datagrams to all receivers of a stream. A datagram that cannot be sent is counted; the stream continues.

    The constructor resolves the addresses and blocks until DNS responds. ``send`` and ``send_all`` are thread-safe.

    Raises:
        SettingError: an address does not resolve.
    """

    def __init__(self, settings: SenderSettings, counters: Counters) -> None:
        self._counters = counters
        self._settings = settings
        hosts = [("host", settings.host, settings.port)]
        hosts += [("destinations", *split_address("destinations", text)) for text in settings.destinations]
        self._targets = [sockets.resolve(*each) for each in hosts]
        self._sockets: dict[int, socket.socket] = {}

    @property
    def first_address(self) -> str:
        """Numeric address of the first receiver, for the session description."""
        return self._targets[0][1][0]

    def open(self) -> list[socket.socket]:
        """Open and return the sockets; feedback arrives on them, too.

        Raises:
            SettingError: the machine has no interface of that name.
        """
        settings = self._settings
        for family in {family for family, _ in self._targets}:
            self._sockets[family] = sockets.sender(family, settings.ttl, settings.dscp, settings.interface)
        return list(self._sockets.values())

    @property
    def is_open(self) -> bool:
        return bool(self._sockets)

    def send_all(self, data: bytes, port_offset: int = 0) -> None:
        for family, (host, port) in self._targets:
            self.send(family, (host, port + port_offset), data)

    def send(self, family: int, address: sockets.Address, data: bytes) -> None:
        try:
            self._sockets[family].sendto(data, sockets.native(family, address))
        except OSError as error:  # no route, network down, buffer full
            self._counters.add(f"{error.strerror or error} ({address[0]})")

    def reply_address(self, family: int, sender: sockets.Address) -> sockets.Address | None:
        """The address to retransmit to for the sender of a NACK; None if it does not receive the stream.

        Without this check, anyone could direct the stream at a third party.
        """
        for known, target in self._targets:
            if known == family and _same_host(target[0], sender[0]):
                return sender  # with the port it sent from: it may be behind NAT
            if known == family and sockets.is_multicast(target[0]):
                return target
        return None

    def close(self) -> None:
        for each in self._sockets.values():
            each.close()
        self._sockets.clear()


def _same_host(one: str, other: str) -> bool:
    return one.partition("%")[0] == other.partition("%")[0]
