"""Ports and DDS domains that nobody else uses, also when tests run in parallel."""

from __future__ import annotations

import itertools
import os
import random
import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, suppress

DOMAINS = 100  # from 102 on, DDS ports lie among those the kernel gives to anybody


# Each test process has a share of the ports that neither DDS nor the kernel (ip_local_port_range) gives to anybody:
# between being found free and being used a port must not go to a parallel test or to some client's end.
FIRST, SHARE, STEP = 61_000, 560, 4
_turns = itertools.count(random.randrange(SHARE // STEP))


def _worker() -> int:
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def _candidates() -> Iterator[int]:
    """Even ports; the next three are this process's too."""
    for turn in _turns:
        yield FIRST + _worker() % 8 * SHARE + turn % (SHARE // STEP) * STEP


def free_tcp_port() -> int:
    for port in _candidates():
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("the candidates never end")


def free_udp_port(neighbours: int = 2) -> int:
    """An even UDP port, as RTP wants it; the next ones (RTCP, parity) are free too."""
    for port in _candidates():
        with suppress(OSError), ExitStack() as stack:
            for offset in range(1 + neighbours):
                stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)).bind(("", port + offset))
            return port
    raise AssertionError("the candidates never end")


def free_domain(nth: int = 0) -> int:
    """The ROS_DOMAIN_ID of this test process, or its ``nth`` further one (below 20)."""
    run = os.environ.setdefault("PYTEST_XDIST_TESTRUNUID", uuid.uuid4().hex)
    return 1 + (int(run, 16) + 20 * _worker() + nth) % DOMAINS
