"""Webhooks against real servers that are unreachable, fail, refuse and come back; addresses and secrets."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from edgecam_core.errors import SettingError
from edgecam_core.events.outputs.outbox import Outbox
from edgecam_core.events.outputs.webhook import make as make_webhook
from edgecam_core.events.settings import EventsSettings
from event_outputs import QUICK, SECOND, outgoing
from network import free_tcp_port
from waiting import wait_until


class Hook:
    """An HTTP server that responds with the given codes, then 204. ``got``: headers, body and code of each request."""

    def __init__(self, port: int, codes: list[int]) -> None:
        self.got: list[tuple[dict[str, str], bytes, int]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                code = codes.pop(0) if codes else 204
                hook.got.append((dict(self.headers), body, code))
                self.send_response(code)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def serving(port: int, *codes: int) -> Iterator[Hook]:
    hook = Hook(port, list(codes))
    try:
        yield hook
    finally:
        hook.close()


@contextmanager
def posting(port: int, limit: int = 100, **settings: object) -> Iterator[Outbox]:
    given = {"webhook_url": f"http://127.0.0.1:{port}/hook?token=abc", **settings}
    webhook = make_webhook(EventsSettings.from_mapping(given), ())
    assert webhook is not None
    outbox = Outbox(webhook, limit, QUICK)
    try:
        yield outbox
    finally:
        outbox.close()


def test_a_webhook_is_signed_json(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    port = free_tcp_port()
    with serving(port) as hook, posting(port, webhook_secret_file=str(tmp_path / "secret")) as outbox:
        outbox.put(outgoing(1))
        wait_until(lambda: hook.got, what="the request")
        wait_until(lambda: outbox.sent == 1)
    headers, body, _ = hook.got[0]
    signature = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert headers["X-Edgecam-Signature"] == f"sha256={signature}"
    assert headers["X-Edgecam-Delivery"] == "e1-begin"
    assert headers["Content-Type"] == "application/json"
    fields = json.loads(body)
    assert (fields["rule"], fields["state"], fields["label"], fields["box"]) == ("sofa", "begin", "dog", [1, 2, 3, 4])
    assert (fields["start"], fields["start_ns"]) == ("1970-01-01T00:00:01.000+00:00", SECOND)
    assert (fields["snapshot"], fields["clip"]) == ("snapshots/e1.jpg", "clips/e1.mkv")


def test_a_failing_server_gets_the_events_again_in_order() -> None:
    port = free_tcp_port()
    with serving(port, 500, 503, 429) as hook, posting(port) as outbox:
        outbox.put(outgoing(1))
        outbox.put(outgoing(2))
        wait_until(lambda: outbox.sent == 2, what="both")
    assert [(json.loads(body)["id"], code) for _, body, code in hook.got] == [
        ("e1", 500), ("e1", 503), ("e1", 429), ("e1", 204), ("e2", 204),
    ]  # fmt: skip
    assert outbox.counters.totals() == {}
    assert outbox.problem is None


def test_events_wait_for_an_unreachable_server_up_to_the_limit() -> None:
    port = free_tcp_port()
    with posting(port, limit=3) as outbox:
        for number in range(5):
            outbox.put(outgoing(number))
        wait_until(lambda: outbox.problem, what="the problem")
        text = str(outbox.problem)
        assert f"http://127.0.0.1:{port}/hook" in text
        assert "abc" not in text
        with serving(port) as hook:
            wait_until(lambda: outbox.sent == 3, what="the queued events")
    assert [json.loads(body)["id"] for _, body, _ in hook.got] == ["e2", "e3", "e4"]
    assert outbox.counters.totals() == {"webhook: dropped, output_queue is full": 2}


@pytest.mark.parametrize("code", [400, 404, 302])
def test_a_permanently_refused_event_is_counted_and_the_next_is_sent(code: int) -> None:
    port = free_tcp_port()
    with serving(port, code) as hook, posting(port) as outbox:
        outbox.put(outgoing(1))
        outbox.put(outgoing(2))
        wait_until(lambda: outbox.sent == 1, what="the second")
    assert [code for _, _, code in hook.got] == [code, 204]
    assert outbox.counters.totals() == {"webhook: refused": 1}


def test_events_undelivered_when_the_node_ends_are_counted() -> None:
    with posting(free_tcp_port()) as outbox:
        outbox.put(outgoing(1))
        wait_until(lambda: outbox.problem, what="the problem")
    assert outbox.counters.totals() == {"webhook: dropped, the node ended": 1}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"webhook_url": "ftp://host/x"}, "must be an address like http://host or https://host"),
        ({"webhook_url": "http://user:secret@host/"}, "must not contain a user or password"),
        ({"webhook_url": "http://ho st/"}, "must be an address"),
        ({"mqtt_url": "host:1883"}, "must be an address like mqtt://host or mqtts://host"),
        ({"mqtt_url": "mqtt://host:99999"}, "must be an address"),
        ({"mqtt_url": "mqtt://user:secret@host"}, "use mqtt_user and mqtt_password_file"),
        ({"mqtt_topic": "a/#"}, r"without \+ and #"),
    ],
)
def test_wrong_addresses_are_refused_without_showing_secrets(settings: dict[str, str], reason: str) -> None:
    with pytest.raises(SettingError, match=reason) as refused:
        EventsSettings.from_mapping(settings)
    assert "secret@" not in str(refused.value)


def test_a_secret_file_that_is_missing_is_named(tmp_path: Path) -> None:
    settings = EventsSettings(webhook_url="http://host/", webhook_secret_file=str(tmp_path / "none"))
    with pytest.raises(SettingError, match=r"parameter 'webhook_secret_file' is .* cannot be read"):
        make_webhook(settings, ())
    (tmp_path / "none").write_text("\n")
    with pytest.raises(SettingError, match="is empty"):
        make_webhook(settings, ())
