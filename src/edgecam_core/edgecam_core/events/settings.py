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

"""The settings of the events node's core."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from edgecam_core.errors import SettingError
from edgecam_core.events.rules import Rule, parse_rules
from edgecam_core.events.zones import Shape, parse_shapes
from edgecam_core.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class EventsSettings(Settings):
    """Zones, lines and rules; what is kept of an event, for how long; where events are sent."""

    zones: tuple[str, ...] = setting(
        (),
        "Polygons by name, as 'sofa: 0.1,0.5 0.6,0.5 0.6,0.9 0.1,0.9' (x,y as fractions of the image), of one camera "
        "as 'front/sofa: ...'.",
        runtime=True,
    )
    lines: tuple[str, ...] = setting(
        (), "Lines by name, as 'gate: 0.2,0.9 0.8,0.9', of one camera as 'front/gate: ...'.", runtime=True
    )
    rules: tuple[str, ...] = setting(
        (),
        "Rules by name, as 'dog-on-sofa: dog stays 3s in sofa cooldown=30s'; CLASS enters, leaves, stays, crosses, "
        "count, absent.",
        runtime=True,
    )
    lost_after: float = setting(
        2.0, "An object that is unseen for longer has left.", low=0.0, high=600.0, unit="s", runtime=True
    )
    max_gap: float = setting(
        30.0, "After a longer gap between two frames durations start over.", low=0.1, high=86400.0, unit="s",
        runtime=True,
    )  # fmt: skip
    events_directory: str = setting("~/edgecam-events", "Folder of the index, the snapshots and the clips.")
    clip: str = setting(
        "auto",
        "Coded source of clips: video (H.264 or H.265 of the RTP sender), jpeg (image_raw/compressed), auto (video "
        "where it is published, else jpeg), none.",
        choices=("auto", "video", "jpeg", "none"),
    )
    pre_roll: float = setting(
        5.0, "Seconds before the event that its clip shows.", low=0.0, high=60.0, unit="s", runtime=True
    )
    post_roll: float = setting(
        5.0, "Seconds after the event's end that its clip shows.", low=0.0, high=60.0, unit="s", runtime=True
    )
    max_clip: float = setting(60.0, "The longest clip, pre-roll included.", low=1.0, high=600.0, unit="s", runtime=True)
    buffer_megabytes: float = setting(
        64.0, "Memory for the coded frames of one camera; what does not fit shortens clips.",
        low=1.0, high=4096.0, unit="MB", runtime=True,
    )  # fmt: skip
    snapshots: bool = setting(True, "Keep a JPEG of the best-scoring frame with the box of the object.")
    retention_days: float = setting(
        30.0, "Events are deleted after this many days; 0: never.", low=0.0, high=3650.0, unit="d", runtime=True
    )
    max_megabytes: float = setting(
        5000.0, "The most disk space; then the oldest events go.", low=1.0, high=1e8, unit="MB", runtime=True
    )
    min_free_megabytes: float = setting(
        1000.0,
        "No snapshot or clip is stored while the disk has less free space, after the oldest events have gone.",
        low=0.0, high=1e8, unit="MB", runtime=True,
    )  # fmt: skip

    webhook_url: str = setting("", "Where events are sent as HTTP POST, http://... or https://...; empty: nowhere.")
    webhook_secret_file: str = setting("", "File with the secret that signs webhooks; empty: not signed.")
    mqtt_url: str = setting("", "MQTT broker, mqtt://host:1883 or mqtts://host:8883; empty: none.")
    mqtt_user: str = setting("", "User at the broker; empty: none.")
    mqtt_password_file: str = setting("", "File with the password at the broker; empty: none.")
    mqtt_topic: str = setting("edgecam", "First part of the MQTT topics.")
    mqtt_discovery: str = setting(
        "homeassistant", "Prefix under which Home Assistant discovers the rules; empty: not announced."
    )
    output_queue: int = setting(
        1000, "Events that wait for a webhook or broker that is away; above, the oldest are dropped and counted.",
        low=1, high=1_000_000,
    )  # fmt: skip

    def check(self) -> None:
        self.parsed_rules()
        self._check_address("webhook_url", self.webhook_url, "http", "https")
        self._check_address("mqtt_url", self.mqtt_url, "mqtt", "mqtts")
        if any(one in self.mqtt_topic for one in "+#") or not self.mqtt_topic.strip("/"):
            raise SettingError("mqtt_topic", self.mqtt_topic, "must be a topic without + and #, like 'edgecam'")
        if not self.events_directory:
            raise SettingError("events_directory", "", "must name a folder")
        if self.pre_roll > self.max_clip:
            raise SettingError("pre_roll", self.pre_roll, f"must not be above max_clip ({self.max_clip:g})")

    @staticmethod
    def _check_address(name: str, value: str, *schemes: str) -> None:
        if not value:
            return
        forms = " or ".join(f"{scheme}://host" for scheme in schemes)
        try:
            parts = urlsplit(value)
            well_formed = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:
            well_formed = False
        if not well_formed or not value.isascii() or any(one <= " " for one in value):
            raise SettingError(name, value, f"must be an address like {forms}")
        if parts.password is not None or parts.username is not None:
            kept = "mqtt_user and mqtt_password_file" if name == "mqtt_url" else "webhook_secret_file"
            raise SettingError(name, value, f"must not hold a user or password; use {kept}")

    def parsed_zones(self) -> tuple[Shape, ...]:
        return parse_shapes("zones", self.zones)

    def parsed_lines(self) -> tuple[Shape, ...]:
        return parse_shapes("lines", self.lines, line=True)

    def parsed_rules(self) -> tuple[Rule, ...]:
        return parse_rules(self.rules, self.parsed_zones(), self.parsed_lines())
