"""Webhook and MQTT against real servers that are unreachable, fail, refuse and come back."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from edgecam_core.errors import SettingError
from edgecam_core.events.event import BEGIN, END, Event
from edgecam_core.events.outputs.message import Outgoing
from edgecam_core.events.outputs.mqtt import Mqtt
from edgecam_core.events.outputs.outbox import Outbox
from edgecam_core.events.outputs.webhook import make as make_webhook
from edgecam_core.events.settings import EventsSettings
from network import free_tcp_port
from paho.mqtt import client as paho
from waiting import wait_until

SECOND = 10**9
QUICK = 0.05  # seconds before the second attempt


def outgoing(number: int, state: str = BEGIN, **fields: object) -> Outgoing:
    values = {
        "id": f"e{number}", "state": state, "camera": "front", "rule": "sofa", "kind": "stays", "zone": "sofa",
        "label": "dog", "score": 0.75, "box": (1.0, 2.0, 3.0, 4.0), "start_ns": number * SECOND,
        "stamp_ns": number * SECOND,
    }  # fmt: skip
    event = Event(**{**values, **fields})  # type: ignore[arg-type]
    return Outgoing(event, event.snapshot, f"clips/{event.id}.mkv")


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


# MQTT

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
mqtt = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed: apt install mosquitto")


class Broker:
    """A real broker with a user, and a client that subscribes to all topics. ``received``: topic, payload, retained."""

    def __init__(self, folder: Path) -> None:
        self.port, self.folder = free_tcp_port(), folder
        self.received: list[tuple[str, bytes, bool]] = []
        self.password = folder / "password"
        self.password.write_text("s3cret\n")
        subprocess.run(["mosquitto_passwd", "-b", "-c", str(folder / "users"), "edgecam", "s3cret"], check=True)
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\npassword_file {folder}/users\nallow_anonymous false\nuser root\n"
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.client: Any = None

    def start(self) -> None:
        assert MOSQUITTO is not None
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [MOSQUITTO, "-c", str(self.folder / "mosquitto.conf")], stdout=log, stderr=subprocess.STDOUT
            )
        make: Any = paho.Client
        self.client = make(paho.CallbackAPIVersion.VERSION2)
        self.client.username_pw_set("edgecam", "s3cret")
        self.client.on_message = lambda _c, _d, one: self.received.append((one.topic, one.payload, one.retain))
        joined = threading.Event()
        self.client.on_subscribe = lambda *_: joined.set()
        self.client.on_connect = lambda client, *_: client.subscribe("#", 1)
        wait_until(self._connected, what="the broker")
        self.client.loop_start()
        assert joined.wait(20)

    def _connected(self) -> bool:
        try:
            self.client.connect("127.0.0.1", self.port)
        except OSError:
            return False
        return True

    def stop(self) -> None:
        if self.client is not None:
            self.client.disconnect()
            self.client.loop_stop()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.client = self.process = None

    def last(self, topic: str) -> bytes | None:
        return next((payload for one, payload, _ in reversed(self.received) if one == topic), None)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path)
    yield made
    made.stop()


def settings_of(broker: Broker, **fields: object) -> EventsSettings:
    values = {
        "mqtt_url": f"mqtt://127.0.0.1:{broker.port}", "mqtt_user": "edgecam",
        "mqtt_password_file": str(broker.password),
        "zones": ("sofa: 0,0 1,0 1,1",), "lines": ("gate: 0,0 1,0",),
        "rules": ("sofa: dog stays 3s in sofa", "gate: any crosses gate"),
    }  # fmt: skip
    return EventsSettings.from_mapping({**values, **fields})


@contextmanager
def publishing(settings: EventsSettings, limit: int = 100) -> Iterator[Outbox]:
    outbox = Outbox(Mqtt(settings, ("front",)), limit, QUICK)
    try:
        yield outbox
    finally:
        outbox.close()


@mqtt
def test_mqtt_has_state_events_and_discovery(broker: Broker) -> None:
    broker.start()
    settings = settings_of(broker)
    with publishing(settings) as outbox:
        outbox.put(outgoing(1))
        wait_until(lambda: broker.last("edgecam/front/sofa/state") == b"ON", what="ON")
        assert broker.last("edgecam/status") == b"online"
        sensor = json.loads(broker.last("homeassistant/binary_sensor/edgecam_front_sofa/config") or b"")
        assert sensor["state_topic"] == "edgecam/front/sofa/state"
        assert (sensor["payload_on"], sensor["availability_topic"]) == ("ON", "edgecam/status")
        assert json.loads(broker.last("edgecam/front/events") or b"")["id"] == "e1"
        outbox.put(outgoing(2))
        outbox.put(outgoing(1, END))
        wait_until(lambda: outbox.sent == 3)
        assert broker.last("edgecam/front/sofa/state") == b"ON", "the second dog is still there"
        outbox.put(outgoing(2, END))
        wait_until(lambda: broker.last("edgecam/front/sofa/state") == b"OFF", what="OFF")
        outbox.put(outgoing(3, rule="gate", kind="crosses", detail="left-to-right"))
        gate = wait_until(lambda: broker.last("edgecam/front/gate/event"), what="the crossing")
        assert json.loads(gate)["event_type"] == "crosses"
        assert json.loads(broker.last("homeassistant/event/edgecam_front_gate/config") or b"")["event_types"] == [
            "crosses"
        ]
        outbox.update(settings.changed(rules=("gate: any crosses gate",)))
        wait_until(
            lambda: broker.last("homeassistant/binary_sensor/edgecam_front_sofa/config") == b"", what="withdrawal"
        )
    wait_until(lambda: broker.last("edgecam/status") == b"offline", what="offline")
    assert outbox.counters.totals() == {}


@mqtt
def test_an_unreachable_broker_gets_the_events_later(broker: Broker) -> None:
    with publishing(settings_of(broker), limit=2) as outbox:
        for number in range(3):
            outbox.put(outgoing(number))
        broker.start()
        wait_until(lambda: outbox.sent == 2, 60, "the queued events")
        ids: Callable[[], list[str]] = lambda: [  # noqa: E731
            json.loads(payload)["id"] for topic, payload, _ in broker.received if topic == "edgecam/front/events"
        ]
        wait_until(lambda: ids() == ["e1", "e2"])
        broker.stop()
        outbox.put(outgoing(7))
        broker.start()
        wait_until(lambda: "e7" in ids(), 90, "the event of the outage")
        wait_until(lambda: broker.last("edgecam/status") == b"online", what="online again")
    assert outbox.counters.totals() == {"mqtt: dropped, output_queue is full": 1}


@mqtt
def test_a_killed_node_is_offline_and_a_wrong_password_is_reported(broker: Broker) -> None:
    broker.start()
    output = Mqtt(settings_of(broker), ("front",))
    output.send(outgoing(1))
    output._client.loop_stop()
    output._client.socket().close()  # like a killed process
    wait_until(lambda: broker.last("edgecam/status") == b"offline", what="the last will")
    broker.password.write_text("wrong")
    with publishing(settings_of(broker)) as outbox:
        outbox.put(outgoing(1))
        wait_until(lambda: outbox.problem, 60, "the problem")
        assert "refused: Not authorized" in str(outbox.problem)
        assert "wrong" not in str(outbox.problem)
