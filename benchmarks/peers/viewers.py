"""Viewers that only read: WebSocket connections to the page's server, with almost no CPU load.

Usage: viewers PORT COUNT
"""

from __future__ import annotations

import selectors
import socket
import sys
import time

START_TIMEOUT = 60.0
HANDSHAKE = (
    "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def connect(port: int) -> socket.socket:
    """Connect a viewer and complete its handshake. Waits until the server listens."""
    end = time.monotonic() + START_TIMEOUT
    while True:
        try:
            viewer = socket.create_connection(("127.0.0.1", port))
            break
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
    viewer.sendall(HANDSHAKE.format(port=port).encode())
    answer = viewer.recv(4096)
    if not answer.startswith(b"HTTP/1.1 101"):
        raise RuntimeError(f"the server refused a viewer: {answer[:100]!r}")
    return viewer


def main() -> int:
    port, count = int(sys.argv[1]), int(sys.argv[2])
    selector = selectors.DefaultSelector()
    for _ in range(count):
        selector.register(connect(port), selectors.EVENT_READ)
    buffer = bytearray(1 << 20)
    received = 0
    while selector.get_map():
        for key, _events in selector.select():
            viewer = key.fileobj
            assert isinstance(viewer, socket.socket)
            size = viewer.recv_into(buffer)
            received += size
            if not size:
                selector.unregister(viewer)
                viewer.close()
    return 0 if received > count * 100_000 else 1


if __name__ == "__main__":
    sys.exit(main())
