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

"""The settings of the events node that do not depend on ROS."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from edgecam_core.errors import SettingError
from edgecam_core.events.rules import EventRule, parse_rules
from edgecam_core.events.zones import Shape, parse_shapes
from edgecam_core.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class EventsSettings(Settings):
    """Zones, lines and rules; which files are stored and how long; where events are sent."""

    zones: tuple[str, ...] = setting(
        (),
        "Named polygons like 'sofa: 0.1,0.5 0.6,0.5 0.6,0.9 0.1,0.9' (x,y as fractions of the image); for one camera "
        "only: 'front/sofa: ...'.",
        runtime=True,
    )
    lines: tuple[str, ...] = setting(
        (), "Named lines like 'gate: 0.2,0.9 0.8,0.9'; for one camera only: 'front/gate: ...'.", runtime=True
    )
    rules: tuple[str, ...] = setting(
        (),
        "Named rules like 'dog-on-sofa: dog stays 3s in sofa cooldown=30s'; CLASS enters, leaves, stays, crosses, "
        "count, absent.",
        runtime=True,
    )
    lost_after: float = setting(
        2.0, "An object unseen for longer has left.", low=0.0, high=600.0, unit="s", runtime=True
    )
    max_gap: float = setting(
        30.0, "After a longer gap between two frames, events end and durations start over.",
        low=0.1, high=86400.0, unit="s", runtime=True,
    )  # fmt: skip
    events_directory: str = setting("~/edgecam-events", "Folder of the index, the snapshots and the clips.")
    clip: str = setting(
        "auto",
        "Source of clips: video (H.264 or H.265 of the RTP sender), jpeg (image_raw/compressed), auto (video if it is "
        "published, else jpeg), none.",
        choices=("auto", "video", "jpeg", "none"),
    )
    pre_roll: float = setting(
        5.0, "Length of the clip before the start of the event.", low=0.0, high=60.0, unit="s", runtime=True
    )
    post_roll: float = setting(
        5.0, "Length of the clip after the end of the event.", low=0.0, high=60.0, unit="s", runtime=True
    )
    max_clip: float = setting(
        60.0, "Maximum length of a clip, including pre_roll.", low=1.0, high=600.0, unit="s", runtime=True
    )
    buffer_megabytes: float = setting(
        64.0, "Memory for the coded frames of one camera; if it is too small, pre_roll is shorter.",
        low=1.0, high=4096.0, unit="MB", runtime=True,
    )  # fmt: skip
    snapshots: bool = setting(True, "Store a JPEG of the best-scoring frame with the box of the object.")
    retention_days: float = setting(
        30.0, "Events are deleted after this many days; 0: never.", low=0.0, high=3650.0, unit="d", runtime=True
    )
    max_megabytes: float = setting(
        5000.0, "Maximum disk space; above it, the oldest events are deleted.",
        low=1.0, high=1e8, unit="MB", runtime=True,
    )  # fmt: skip
    min_free_megabytes: float = setting(
        1000.0,
        "Minimum free space of the disk: the oldest events are deleted for it; if that is not enough, no snapshot or "
        "clip is stored.",
        low=0.0, high=1e8, unit="MB", runtime=True,
    )  # fmt: skip

    webhook_url: str = setting("", "Address for HTTP POST of events, http://... or https://...; empty: none.")
    webhook_secret_file: str = setting("", "File with the secret that signs webhooks; empty: not signed.")
    mqtt_url: str = setting("", "MQTT broker, mqtt://host:1883 or mqtts://host:8883; empty: none.")
    mqtt_user: str = setting("", "User name for the broker; empty: none.")
    mqtt_password_file: str = setting("", "File with the password for the broker; empty: none.")
    mqtt_topic: str = setting("edgecam", "Prefix of the MQTT topics.")
    mqtt_discovery: str = setting(
        "homeassistant", "Prefix of the topics for Home Assistant's discovery; empty: not announced."
    )
    output_queue: int = setting(
        1000, "Maximum number of events that wait while a webhook or broker cannot be reached; above it, the oldest "
        "are dropped and counted.",
        low=1, high=1_000_000,
    )  # fmt: skip

    def check(self) -> None:
        self.parsed_rules()
        self._check_address("webhook_url", self.webhook_url, "http", "https")
        self._check_address("mqtt_url", self.mqtt_url, "mqtt", "mqtts")
        if any(one in self.mqtt_topic for one in "+#") or not self.mqtt_topic.strip("/"):
            raise SettingError("mqtt_topic", self.mqtt_topic, "must be a topic without + and #, like 'edgecam'")
        if not self.events_directory:
            raise SettingError("events_directory", "", "must be the path of a folder")
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
            remedy = "mqtt_user and mqtt_password_file" if name == "mqtt_url" else "webhook_secret_file"
            raise SettingError(name, value, f"must not contain a user or password; use {remedy}")

    def parsed_zones(self) -> tuple[Shape, ...]:
        return parse_shapes("zones", self.zones)

    def parsed_lines(self) -> tuple[Shape, ...]:
        return parse_shapes("lines", self.lines, line=True)

    def parsed_rules(self) -> tuple[EventRule, ...]:
        return parse_rules(self.rules, self.parsed_zones(), self.parsed_lines())
