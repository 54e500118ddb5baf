"""Ports and DDS domains that nobody else uses, also when tests run in parallel."""

from __future__ import annotations

import os
import socket
import uuid
from contextlib import ExitStack

DOMAINS = 100  # from 102 on, DDS ports lie among those the kernel gives to anybody


def free_tcp_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def free_udp_port(neighbours: int = 2) -> int:
    """An even UDP port, as RTP wants it; the next ones (RTCP, parity) are free too."""
    while True:
        with ExitStack() as stack:
            first, *others = (stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(1 + neighbours))
            first.bind(("", 0))
            port = int(first.getsockname()[1])
            if port % 2 or port + neighbours > 65535:
                continue
            try:
                for offset, other in enumerate(others, 1):
                    other.bind(("", port + offset))
            except OSError:
                continue
            return port


def free_domain(nth: int = 0) -> int:
    """The ROS_DOMAIN_ID of this test process, or its ``nth`` further one (below 20)."""
    run = os.environ.setdefault("PYTEST_XDIST_TESTRUNUID", uuid.uuid4().hex)
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return 1 + (int(run, 16) + 20 * worker + nth) % DOMAINS
