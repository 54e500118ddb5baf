"""Input from browsers and other nodes is refused and counted, and never ends the viewer."""

from __future__ import annotations

import asyncio
import json
import math
import os
import socket
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from edgecam_core.errors import EdgecamError
from edgecam_core.types import Detection
from edgecam_viewer.monitor import MAX_LABELS as MONITOR_LABELS
from edgecam_viewer.monitor import Monitor
from edgecam_viewer.node_status import MAX_NODES, MAX_TEXT, NodeStatus, NodeStatusTable
from edgecam_viewer.offers import OFFERS, checked
from edgecam_viewer.status import LABEL_AGE, MAX_LABELS, CameraStats, stage_facts
from edgecam_viewer.text import one_line
from edgecam_viewer.top import table
from edgecam_viewer.wire import MAX_LABEL, found_list
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from viewer_served import Served

EXAMPLES = int(os.environ.get("EDGECAM_FUZZ", "15")) * 10
FUZZ = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
HUGE = "9" * 5000
NUMBERS = st.one_of(
    st.integers(), st.floats(), st.booleans(), st.sampled_from([10**400, -(10**400), 2**31, 2**63, 1e308, -0.0])
)
TEXTS = st.one_of(st.text(), st.sampled_from([HUGE, "\0", "\ud800", "\x1b[2J", "\u202e", "x" * 30_000]))
JSON = st.recursive(
    st.one_of(st.none(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=8,
)
KINDS = st.sampled_from([*OFFERS, "ping", "watch", "answer", "echo", "status", "", "__class__"])
MESSAGES = st.fixed_dictionaries(
    {"type": st.one_of(KINDS, JSON)},
    optional=dict.fromkeys(("camera", "cameras", "video", "value", "sent", "sdp", "name"), JSON),
)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with Served(cameras=2) as one:
        yield one


async def exchange(served: Served, texts: list[str]) -> None:
    """Send these messages on one WebSocket, then a valid one, which must get a response."""
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{served.base}/ws") as link:
        for text in texts:
            await link.send_str(text)
        await link.send_json({"type": "ping", "sent": 4711})
        while True:
            message = await link.receive(timeout=60)
            assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
            if message.type is aiohttp.WSMsgType.TEXT:
                note = json.loads(message.data, parse_constant=pytest.fail)
                if note["type"] == "pong" and note["sent"] == 4711:
                    return


@FUZZ
@given(st.lists(st.one_of(MESSAGES, JSON), max_size=4))
def test_no_websocket_message_ends_the_connection(served: Served, messages: list[Any]) -> None:
    texts = [json.dumps(one) for one in messages]
    asyncio.run(exchange(served, [text for text in texts if len(text) < 60_000]))
    assert served.log == []


@FUZZ
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4))
def test_no_text_ends_the_connection(served: Served, texts: list[str]) -> None:
    asyncio.run(exchange(served, texts))
    assert served.log == []


PATHS = ["/", "/ws", "/stream.mjpg", "/snapshot.jpg", "/api/status", "/page/main.js"]
WORDS = st.one_of(st.sampled_from(["GET", "POST", "HEAD", "PUT", "OPTIONS", "CONNECT", "*", *PATHS]), st.text())
NAMES = st.one_of(
    st.sampled_from(
        [
            *("Host", "Origin", "Cookie", "Authorization", "Content-Length", "Transfer-Encoding", "Upgrade"),
            *("Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-Fetch-Site", "Range", "Expect"),
        ]
    ),
    st.text(),
)
VALUES = st.one_of(
    st.sampled_from(["127.0.0.1", "websocket", "Upgrade", "13", "chunked", "-1", HUGE, "100-continue", "cross-site"]),
    st.text(),
)


@FUZZ
@given(WORDS, WORDS, st.lists(st.tuples(NAMES, VALUES), max_size=5), st.binary(max_size=200))
def test_no_http_request_ends_the_server(
    served: Served, method: str, path: str, headers: list[tuple[str, str]], body: bytes
) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    request = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n".encode("utf-8", "surrogatepass") + body
    with socket.create_connection(("127.0.0.1", served.server.port), 60) as link:
        link.sendall(request)
        link.shutdown(socket.SHUT_WR)
        link.settimeout(0.05)
        try:
            link.recv(1000)
        except OSError:  # a stream or nothing yet; the next request is what counts
            pass
    with socket.create_connection(("127.0.0.1", served.server.port), 60) as link:
        link.sendall(b"GET /api/status HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert link.recv(100).startswith(b"HTTP/1.1 200")
    assert served.log == []


@given(MESSAGES.filter(lambda one: isinstance(one["type"], str)))
def test_only_offered_requests_are_granted(message: dict[str, Any]) -> None:
    try:
        kind, camera, value = checked(message, 2)
    except EdgecamError:
        return
    assert kind in OFFERS
    assert camera in (0, 1)
    assert value is None or 0 <= value <= 1


def test_a_threshold_of_400_digits_is_refused() -> None:
    for value in (10**400, -(10**400), float("nan"), float("inf"), 1.0001, "0.5", None, True, [0.5]):
        with pytest.raises(EdgecamError, match="0 to 1"):
            checked({"type": "threshold", "camera": 0, "value": value}, 1)


FLOATS = st.one_of(st.floats(), st.sampled_from([1e308, -1e308, 1e-320]))


@given(st.lists(st.tuples(TEXTS, FLOATS, st.tuples(FLOATS, FLOATS, FLOATS, FLOATS), TEXTS), max_size=5))
def test_detections_of_any_shape_become_json(rows: list[tuple[str, float, tuple[float, ...], str]]) -> None:
    found = found_list(Detection(label, -1, score, box, track) for label, score, box, track in rows)  # type: ignore[arg-type]
    json.loads(json.dumps(found, allow_nan=False))
    assert all(len(str(one[0])) <= MAX_LABEL and str(one[0]).isprintable() for one in found)
    monitor = Monitor("", 0.0)
    monitor.found(found, 0.1, 1.0)
    assert monitor.line([], 1.0).isprintable()
    json.dumps(monitor.summary(2.0).as_dict(), allow_nan=False)


ODD = st.one_of(TEXTS, st.sampled_from(["nan", "inf", "-inf", "1e999", "-1e999", "1e308", "0x10", "1_0", "", "-", "٣"]))


@given(st.dictionaries(st.sampled_from(["fps", "drops", "bad", "recording", "pid", "host"]), ODD))
def test_diagnostics_of_any_shape_become_json_and_a_table(values: dict[str, str]) -> None:
    clean = {key: one_line(value, MAX_TEXT) for key, value in values.items()}
    nodes = [NodeStatus("camera/camera_driver", "ok", "running", values=clean)]
    json.dumps(stage_facts(nodes, "camera"), allow_nan=False)
    assert all(line.isprintable() for line in table(nodes))
    fps = nodes[0].number("fps")
    assert fps is None or math.isfinite(fps)


def test_labels_are_bounded_and_expire() -> None:
    stats, monitor = CameraStats("camera"), Monitor("", 0.0)
    for n in range(3000):
        stats.found([[f"label {n}", 0.5, 0, 0, 1, 1, ""]], 0.0, float(n) / 1000)
        monitor.found([[f"label {n}", 0.5, 0, 0, 1, 1, ""]], 0.0, float(n) / 1000)
    assert len(stats.as_dict(3.0)["labels"]) == MAX_LABELS
    assert stats.as_dict(3.0 + LABEL_AGE)["labels"] == []
    assert len(monitor.summary(4.0).labels) <= MONITOR_LABELS + 1
    assert sum(monitor.summary(4.0).labels.values()) == 3000


def test_the_number_of_nodes_is_bounded_and_silent_ones_make_room() -> None:
    nodes = NodeStatusTable()
    for n in range(1000):
        nodes.put(NodeStatus(f"node{n}", "ok", "", at=0.0))
    assert (len(nodes.nodes(1.0)), nodes.refused) == (MAX_NODES, 1000 - MAX_NODES)
    nodes.put(NodeStatus("late", "ok", "", at=100.0))
    assert [one.name for one in nodes.nodes(100.0)] == ["late"]
