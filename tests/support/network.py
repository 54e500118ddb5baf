"""Unused ports and DDS domains, also when tests run in parallel."""

from __future__ import annotations

import itertools
import os
import random
import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, suppress

DOMAINS = 100  # from 102 on, DDS ports are in the kernel's ephemeral range


# Each test process has a share of the ports that neither DDS nor the kernel (ip_local_port_range) assigns: after a port
# was found free, no parallel test and no client's socket may take it.
FIRST, SHARE, STEP = 61_000, 560, 4
_turns = itertools.count(random.randrange(SHARE // STEP))


def _worker() -> int:
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def _candidates() -> Iterator[int]:
    """Even ports; the next three ports also belong to this process."""
    for turn in _turns:
        yield FIRST + _worker() % 8 * SHARE + turn % (SHARE // STEP) * STEP


def free_tcp_port() -> int:
    for port in _candidates():
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("the candidates never end")


def free_udp_port(neighbours: int = 2) -> int:
    """An even UDP port, as RTP requires; the next ones (RTCP, parity) are free too."""
    for port in _candidates():
        with suppress(OSError), ExitStack() as stack:
            for offset in range(1 + neighbours):
                stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)).bind(("", port + offset))
            return port
    raise AssertionError("the candidates never end")


def free_domain(nth: int = 0) -> int:
    """The ROS_DOMAIN_ID of this test process, or its ``nth`` additional one (below 20)."""
    run = os.environ.setdefault("PYTEST_XDIST_TESTRUNUID", uuid.uuid4().hex)
    return 1 + (int(run, 16) + 20 * _worker() + nth) % DOMAINS
