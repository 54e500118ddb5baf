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

"""The UDP sockets of a receiver: media, RTCP on the next port, and parity packets on the port after that."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable, Iterator

from edgecam_core.counters import Counters
from edgecam_core.errors import EdgecamError
from edgecam_core.rtp import sockets
from edgecam_core.rtp.parity import PORT_OFFSET
from edgecam_core.rtp.sockets import Address

MEDIA, CONTROL, PARITY = "media", "control", "parity"
DATAGRAM = 65_535
MAX_DATAGRAMS = 256  # read from one socket in one turn


class ReceiverSockets:
    """Binds the ports on construction. If the RTCP port is in use, the receiver works without RTCP and counts that.

    Args:
        bind: returns the socket at an offset from the media port.
        parity: bind the port of parity packets, too.
        counters: counts datagrams that cannot be received or sent.

    Raises:
        SettingError: the media or parity port is in use, or the address is not one of this machine.
    """

    def __init__(self, bind: Callable[[int], socket.socket], parity: bool, counters: Counters) -> None:
        self._counters = counters
        self._selector = selectors.DefaultSelector()
        self._sockets: dict[str, socket.socket] = {}
        try:
            self._sockets[MEDIA] = bind(0)
            try:
                self._sockets[CONTROL] = bind(1)
            except EdgecamError:
                counters.add(f"no RTCP: port {self._sockets[MEDIA].getsockname()[1] + 1} is in use")
            if parity:
                self._sockets[PARITY] = bind(PORT_OFFSET)
        except EdgecamError:
            self.close()
            raise
        for kind, each in self._sockets.items():
            each.setblocking(False)
            self._selector.register(each, selectors.EVENT_READ, kind)

    def ready(self, timeout: float) -> list[str]:
        """The kinds of sockets to read now, waiting up to ``timeout`` seconds for the first datagram."""
        ready = {key.data for key, _ in self._selector.select(timeout)}
        if CONTROL in ready:
            ready.add(MEDIA)  # packets that were sent before a BYE may have arrived since the selector looked
        # RTCP first: sender reports define the timestamps of the packets that arrive with them.
        return sorted(ready, key=(CONTROL, MEDIA, PARITY).index)

    def datagrams(self, kind: str) -> Iterator[tuple[bytes, Address]]:
        """The queued datagrams and their senders; never blocks."""
        for _ in range(MAX_DATAGRAMS):  # limited, so that a flood does not starve feedback and decoder checks
            try:
                data, sender = self._sockets[kind].recvfrom(DATAGRAM)
            except BlockingIOError:
                return
            except OSError as error:
                self._counters.add(f"receiving: {error.strerror or error}")
                return
            yield data, (sender[0], sender[1])

    def send(self, data: bytes, address: Address) -> None:
        """Send from the media port."""
        media = self._sockets[MEDIA]
        try:
            media.sendto(data, sockets.native(media.family, address))
        except OSError as error:
            self._counters.add(f"feedback: {error.strerror or error}")

    def close(self) -> None:
        """Close the sockets; safe to call twice."""
        for each in self._sockets.values():
            each.close()
        self._sockets = {}
        self._selector.close()
