"""MQTT with a real broker: state, discovery, outages, a killed node."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from edgecam_core.events.event import END
from edgecam_core.events.outputs.mqtt import Mqtt
from edgecam_core.events.outputs.outbox import Outbox
from edgecam_core.events.settings import EventsSettings
from event_outputs import QUICK, outgoing
from network import free_tcp_port
from paho.mqtt import client as paho
from waiting import wait_until

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
        assert joined.wait(120)

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
