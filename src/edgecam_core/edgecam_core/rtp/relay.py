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

"""A UDP relay that simulates a bad network: loss, delay, jitter, a limited rate, outages.

    python3 -m edgecam_core.rtp.relay --listen 5002 --to 127.0.0.1:5000 --loss 0.05 --burst 5

For trials and tests; ``tc netem`` needs privileges. It relays both directions: datagrams to ``listen`` go to the
target, replies of the target go to the last sender. The next two ports (RTCP, parity) are relayed in the same way.
"""

from __future__ import annotations

import argparse
import heapq
import random
import selectors
import socket
import sys
import threading
import time
from dataclasses import dataclass

from edgecam_core.rtp.settings import split_address

Address = tuple[str, int]
HEADERS = 28  # bytes of UDP and IP
PORTS = 3  # media, RTCP, parity


@dataclass
class Conditions:
    """The simulated network; may be changed while the relay runs.

    ``loss`` is the share of datagrams lost, in runs of ``burst``. ``delay`` and ``jitter`` (added to it, uniformly
    distributed) are seconds; jitter can reorder datagrams. ``return_loss`` is the loss of the return direction.
    ``rate`` limits the forward direction in bit/s (0: no limit); datagrams that would wait longer than ``queue``
    seconds are lost.
    """

    loss: float = 0.0
    burst: int = 1
    delay: float = 0.0
    jitter: float = 0.0
    duplicate: float = 0.0
    return_loss: float = 0.0
    down: bool = False
    rate: float = 0.0
    queue: float = 0.3


class Fate:
    """Decides what happens to each datagram of one direction; the same seed repeats the same losses."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._burst_left = 0

    def delays(self, conditions: Conditions, loss: float) -> list[float]:
        """The delay of each copy in seconds; empty if the datagram is lost."""
        if conditions.down or self._lost(loss, max(1, conditions.burst)):
            return []
        copies = 2 if self._chance.random() < conditions.duplicate else 1
        return [conditions.delay + self._chance.random() * conditions.jitter for _ in range(copies)]

    def _lost(self, loss: float, burst: int) -> bool:
        if self._burst_left:
            self._burst_left -= 1
            return True
        # The probability of a run is scaled so that the loss rate does not depend on the run length.
        if loss and self._chance.random() < loss / (burst - loss * (burst - 1)):
            self._burst_left = burst - 1
            return True
        return False


class _Link:
    """A link with a limited rate; ``free_at`` is the time when its queue is empty."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.free_at = 0.0


class Relay:
    """Relays three consecutive UDP ports until closed. ``port`` is the first port to send to; 0 picks free ports.

    ``passed`` and ``dropped`` count datagrams of the forward direction, ``octets`` the bytes received for it.
    """

    def __init__(self, target: Address, port: int = 0, conditions: Conditions | None = None, seed: int = 1) -> None:
        self.conditions = conditions or Conditions()
        self.passed = self.dropped = self.octets = 0
        self._fronts = _row(port)
        self.port = int(self._fronts[0].getsockname()[1])
        self._targets = [(target[0], target[1] + offset) for offset in range(PORTS)]
        self._backs = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in self._fronts]
        self._senders: list[Address | None] = [None] * PORTS
        # One random sequence per port and direction, so that losses do not depend on timing.
        self._there = [Fate(seed + 2 * index) for index in range(PORTS)]
        self._back = [Fate(seed + 2 * index + 1) for index in range(PORTS)]
        self._queue: list[tuple[float, int, socket.socket, bytes, Address]] = []
        self._count = 0
        self._link = _Link()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for index, (front, back) in enumerate(zip(self._fronts, self._backs, strict=True)):
                for each, forward in ((front, True), (back, False)):
                    each.setblocking(False)
                    selector.register(each, selectors.EVENT_READ, (index, forward))
            while not self._stopping.is_set():
                pause = min(max(self._queue[0][0] - time.monotonic(), 0.0), 0.05) if self._queue else 0.05
                for key, _ in selector.select(pause):
                    self._take(key.fileobj, *key.data)  # type: ignore[arg-type]
                self._release()

    def _take(self, source: socket.socket, index: int, forward: bool) -> None:
        while True:
            try:
                data, sender = source.recvfrom(65_535)
            except (BlockingIOError, ConnectionRefusedError):
                return
            if forward:
                self._senders[index] = sender
                delays = self._queued(self._there[index].delays(self.conditions, self.conditions.loss), len(data))
                self.octets += len(data)
                self.passed += bool(delays)
                self.dropped += not delays
                way: tuple[socket.socket, Address | None] = (self._backs[index], self._targets[index])
            else:
                delays = self._back[index].delays(self.conditions, self.conditions.return_loss)
                way = (self._fronts[index], self._senders[index])
            if way[1] is None:
                continue
            for delay in delays:
                self._count += 1
                heapq.heappush(self._queue, (time.monotonic() + delay, self._count, way[0], data, way[1]))

    def _queued(self, delays: list[float], size: int) -> list[float]:
        """The delays of the copies with the waiting time for the link; empty if its queue is full."""
        rate, now = self.conditions.rate, time.monotonic()
        if not rate or not delays:
            return delays
        with self._link.lock:
            wait = max(self._link.free_at - now, 0.0)
            if wait > self.conditions.queue:
                return []
            wait += (size + HEADERS) * 8 / rate
            self._link.free_at = now + wait
        return [delay + wait for delay in delays]

    def share_link(self, other: Relay) -> None:
        """Send over the link of another relay: both share its rate."""
        self._link = other._link

    def _release(self) -> None:
        now = time.monotonic()
        while self._queue and self._queue[0][0] <= now:
            _, _, out, data, target = heapq.heappop(self._queue)
            try:
                out.sendto(data, target)
            except OSError:
                self.dropped += 1

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(5.0)
        for each in (*self._fronts, *self._backs):
            each.close()

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()


def _row(port: int) -> list[socket.socket]:
    """Sockets bound to ``PORTS`` consecutive ports from ``port`` on; 0: any free ports."""
    while True:
        bound = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(PORTS)]
        try:
            bound[0].bind(("", port))
            for offset, each in enumerate(bound[1:], 1):
                each.bind(("", bound[0].getsockname()[1] + offset))
        except (OSError, OverflowError):
            for each in bound:
                each.close()
            if port:
                raise
            continue
        for each in bound:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        return bound


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="edgecam_core.rtp.relay", description="A UDP relay that simulates a bad network."
    )
    parser.add_argument("--listen", type=int, required=True, help="port to send to; RTCP on the next one")
    parser.add_argument("--to", required=True, help="host:port of the receiver")
    parser.add_argument("--loss", type=float, default=0.0, help="share of datagrams to lose, 0..1")
    parser.add_argument("--burst", type=int, default=1, help="datagrams lost in a row")
    parser.add_argument("--delay", type=float, default=0.0, help="milliseconds")
    parser.add_argument("--jitter", type=float, default=0.0, help="random additional milliseconds")
    parser.add_argument("--duplicate", type=float, default=0.0, help="share of datagrams to send twice")
    parser.add_argument("--rate", type=float, default=0.0, help="bit/s of the link; 0: no limit")
    parser.add_argument(
        "--queue", type=float, default=300.0, help="longest time a datagram may wait for the link, in milliseconds"
    )
    parser.add_argument(
        "--return-loss",
        "--back-loss",  # the old name, until 0.3.0
        type=float,
        default=0.0,
        help="share of datagrams to lose in the return direction, 0..1",
    )
    given = parser.parse_args(arguments)
    conditions = Conditions(
        given.loss,
        given.burst,
        given.delay / 1e3,
        given.jitter / 1e3,
        given.duplicate,
        given.return_loss,
        rate=given.rate,
        queue=given.queue / 1e3,
    )
    with Relay(split_address("to", given.to), given.listen, conditions) as relay:
        try:
            while True:
                time.sleep(1.0)
                print(f"passed {relay.passed}, dropped {relay.dropped}", flush=True)
        except KeyboardInterrupt:
            return 0


if __name__ == "__main__":
    sys.exit(main())
