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

"""MQTT with Home Assistant discovery. Topics, under ``mqtt_topic``:

CAMERA/events        every begin and end, as JSON
CAMERA/RULE/state    ON during an event of the rule, else OFF; retained
CAMERA/RULE/event    every event of a rule whose events have no duration, as JSON
status               online or offline (birth and last will); retained
"""

from __future__ import annotations

import json
import os
import re
import threading
from typing import Any
from urllib.parse import urlsplit

from edgecam_core.errors import MissingDependency
from edgecam_core.events.event import BEGIN, Event
from edgecam_core.events.outputs.message import Outgoing, OutputError, read_secret
from edgecam_core.events.rules import EventRule
from edgecam_core.events.settings import EventsSettings

_CONNECT, _DELIVER = 10.0, 10.0  # seconds
_INSTANT = ("leaves", "crosses")
_PORTS = {"mqtt": 1883, "mqtts": 8883}


class Mqtt:
    """One connection to the broker; the library reconnects. Events are published with QoS 1.

    Raises:
        MissingDependency: paho-mqtt is not installed.
        SettingError: the password file cannot be read.
    """

    name = "mqtt"

    def __init__(self, settings: EventsSettings, cameras: tuple[str, ...]) -> None:
        try:
            from paho.mqtt import client as paho
        except ImportError as error:
            raise MissingDependency("paho-mqtt", "pip install paho-mqtt, or apt install python3-paho-mqtt") from error
        self._settings = settings
        self._cameras: list[str] = list(cameras)
        self._lasting: dict[tuple[str, str], set[str]] = {}  # ongoing events by camera and rule
        self._announced: set[str] = set()
        self._connected = threading.Event()
        self._reconnected = False  # the broker may have lost all retained messages
        self._reason = "not connected yet"
        parts = urlsplit(settings.mqtt_url)
        self._address = f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"
        version = getattr(paho, "CallbackAPIVersion", None)  # since paho 2
        name = f"edgecam-{os.urandom(6).hex()}"
        make: Any = paho.Client
        self._client = make(version.VERSION2, name) if version else make(name)
        if settings.mqtt_user:
            file = settings.mqtt_password_file
            password = read_secret("mqtt_password_file", file).decode(errors="replace") if file else None
            self._client.username_pw_set(settings.mqtt_user, password)
        if parts.scheme == "mqtts":
            self._client.tls_set()
        self._client.will_set(self._topic("status"), "offline", qos=1, retain=True)
        self._client.reconnect_delay_set(1, 30)
        self._client.on_connect, self._client.on_disconnect = self._on_connect, self._on_disconnect
        self._client.connect_async(str(parts.hostname), parts.port or _PORTS[parts.scheme], keepalive=30)
        self._client.loop_start()

    # In paho's thread. Version 2 passes more arguments.

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, *_: Any) -> None:
        if reason == 0:
            self._reconnected = True
            self._connected.set()
        else:
            self._reason = f"refused: {reason}"

    def _on_disconnect(self, *_: Any) -> None:
        if self._connected.is_set():  # else it was refused, and the reason is set
            self._reason = "connection lost"
        self._connected.clear()

    # In the outbox's thread.

    def send(self, outgoing: Outgoing) -> None:
        self._ready()
        event = outgoing.event
        if event.camera not in self._cameras:
            self._cameras.append(event.camera)
            self._announce()
        self._publish(self._topic(event.camera, "events"), outgoing.json())
        if event.kind in _INSTANT:
            if event.state == BEGIN:
                payload = {**json.loads(outgoing.json()), "event_type": event.kind}
                self._publish(self._topic(event.camera, event.rule, "event"), json.dumps(payload).encode())
            return
        self._publish(self._topic(event.camera, event.rule, "state"), self._state(event), retain=True)

    def _state(self, event: Event) -> bytes:
        lasting = self._lasting.setdefault((event.camera, event.rule), set())
        (lasting.add if event.state == BEGIN else lasting.discard)(event.id)
        return b"ON" if lasting else b"OFF"

    def update(self, settings: EventsSettings) -> None:
        self._settings = settings
        self._ready()
        self._announce()

    def close(self) -> None:
        if self._connected.is_set():
            self._client.publish(self._topic("status"), "offline", qos=1, retain=True).wait_for_publish(2.0)
        self._client.disconnect()
        self._client.loop_stop()

    def _ready(self) -> None:
        if not self._connected.wait(_CONNECT):
            raise OutputError(f"the MQTT broker {self._address} cannot be reached ({self._reason})")
        if self._reconnected:
            self._reconnected = False
            self._publish(self._topic("status"), b"online", retain=True)
            self._announce()

    def _publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        message = self._client.publish(topic, payload, qos=1, retain=retain)
        try:
            message.wait_for_publish(_DELIVER)
            done = message.is_published()
        except (ValueError, RuntimeError) as error:  # disconnected meanwhile, or paho's queue is full
            raise OutputError(f"the event cannot be sent to the MQTT broker {self._address} ({error})") from error
        if not done:
            raise OutputError(f"the MQTT broker {self._address} did not confirm the event")

    def _topic(self, *parts: str) -> str:
        clean = [re.sub(r"[+#/\s\0]", "_", part) for part in parts]
        return "/".join([self._settings.mqtt_topic.strip("/"), *clean])

    # Home Assistant: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery

    def _announce(self) -> None:
        """Publish the configuration of every rule in every camera; withdraw that of removed rules."""
        if not self._settings.mqtt_discovery:
            return
        rules = self._settings.parsed_rules()
        configurations = dict(self._configuration(camera, rule) for camera in self._cameras for rule in rules)
        for topic in sorted(self._announced - set(configurations)):
            self._publish(topic, b"", retain=True)
        for topic, payload in configurations.items():
            self._publish(topic, json.dumps(payload).encode(), retain=True)
            self._announced.add(topic)
        self._announced &= set(configurations)

    def _configuration(self, camera: str, rule: EventRule) -> tuple[str, dict[str, Any]]:
        instant = rule.kind in _INSTANT
        unique = re.sub("[^A-Za-z0-9_-]", "_", f"{self._settings.mqtt_topic}_{camera}_{rule.name}")
        payload: dict[str, Any] = {
            "name": rule.name,
            "unique_id": unique,
            "object_id": unique,
            "availability_topic": self._topic("status"),
            "state_topic": self._topic(camera, rule.name, "event" if instant else "state"),
            "device": {"identifiers": [f"edgecam_{camera}"], "name": f"edgecam {camera}", "manufacturer": "edgecam"},
        }
        payload |= {"event_types": [rule.kind]} if instant else {"payload_on": "ON", "payload_off": "OFF"}
        component = "event" if instant else "binary_sensor"
        return f"{self._settings.mqtt_discovery.strip('/')}/{component}/{unique}/config", payload


def make(settings: EventsSettings, cameras: tuple[str, ...]) -> Mqtt:
    """The MQTT output. Raises as :class:`Mqtt`."""
    return Mqtt(settings, cameras)
