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

"""Settings of the viewer and of the monitor."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from edgecam_core.errors import SettingError
from edgecam_core.masking import HIDDEN
from edgecam_core.settings import Settings, setting

ANY_ADDRESS = ("0.0.0.0", "::")
MAX_TOKEN = 100  # characters; the address with the token has to fit into a QR code that a terminal can show


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine can reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, kw_only=True)
class ViewerSettings(Settings):
    host: str = setting("127.0.0.1", "Address to serve the page at; 0.0.0.0: all addresses of this machine.")
    port: int = setting(8080, "TCP port of the page; 0: any free port.", low=0, high=65535)
    token: str = setting(
        "",
        "Token that viewers need at an address other than loopback; empty: a new token at every start.",
        secret=True,
    )
    tls_certificate: str = setting(
        "", "PEM file with the certificate chain; with tls_key, the page is served over HTTPS."
    )
    tls_key: str = setting("", "PEM file with the private key of tls_certificate.")
    image_topics: tuple[str, ...] = setting(("image_raw",), "Image topic of each camera.")
    detections_topics: tuple[str, ...] = setting(
        ("detections",), "Detection2DArray topic of each camera, in the order of image_topics; '' for none."
    )
    detector_nodes: tuple[str, ...] = setting(
        ("detector",), "Detector of each camera, in the order of image_topics, for the threshold slider; '' for none."
    )
    camera_nodes: tuple[str, ...] = setting(
        ("camera_driver",), "Node of each camera, in the order of image_topics, to save files there; '' for none."
    )
    recorder_node: str = setting(
        "recorder", "Node that records topics, for the buttons to start and stop recording; '' for none."
    )
    collector_node: str = setting("collector", "Node that collects frames, for the Keep button; '' for none.")
    events_node: str = setting("events", "Node whose zones and lines can be edited on the page; '' for none.")
    image_reliability: str = setting(
        "best_effort", "Reliability (QoS) of the image subscriptions.", choices=("best_effort", "reliable")
    )
    jpeg_quality: int = setting(80, "JPEG quality of the frames sent to browsers.", low=1, high=100, runtime=True)
    collection: str = setting("", "Folder of collected frames to label at /label; empty: no such page.")
    events: str = setting("", "Folder of the events to show at /events; empty: no such page.")
    webrtc: bool = setting(
        True, "Offer H.264 over WebRTC to browsers; false, or if WebRTC does not connect: JPEG frames."
    )
    video_bitrate: int = setting(
        4_000_000, "Bitrate of the H.264 video of one camera.", low=50_000, high=100_000_000, unit="bit/s"
    )
    max_fps: float = setting(30.0, "Maximum frame rate per camera.", low=0.1, high=240.0, unit="Hz", runtime=True)
    max_width: int = setting(
        1280, "Maximum width; wider frames are scaled down before sending.", low=16, high=16384, unit="px", runtime=True
    )
    max_viewers: int = setting(
        32, "Maximum number of viewers at the same time; more are refused.", low=1, high=1000, runtime=True
    )
    niceness: int = setting(
        10, "Nice value of the viewer's encoders; higher values leave more CPU time to the pipeline.",
        low=0, high=19,
    )  # fmt: skip
    request_timeout: float = setting(
        20.0,
        "Time for a node to save a frame, complete a recording or set zones; then the page reports a failure.",
        low=1.0,
        high=600.0,
        unit="s",
    )
    stall_timeout: float = setting(
        10.0,
        "Time after which a viewer that accepts no data is disconnected.",
        low=1.0,
        high=600.0,
        unit="s",
        runtime=True,
    )

    def check(self) -> None:
        if not self.image_topics or not all(self.image_topics):
            raise SettingError("image_topics", list(self.image_topics), "name at least one topic, e.g. [image_raw]")
        if len(set(self.image_topics)) != len(self.image_topics):
            raise SettingError("image_topics", list(self.image_topics), "name every topic once")
        for name in ("detections_topics", "detector_nodes", "camera_nodes"):
            values = getattr(self, name)
            if len(values) > len(self.image_topics):
                count = len(self.image_topics)
                raise SettingError(name, list(values), f"image_topics has {count}; set at most that many, '' for none")
        if bool(self.tls_certificate) != bool(self.tls_key):
            missing = "tls_key" if self.tls_certificate else "tls_certificate"
            raise SettingError(missing, "", "set both tls_certificate and tls_key, or neither")
        if not self.token.isprintable() or self.token != self.token.strip() or len(self.token) > MAX_TOKEN:
            remedy = f"must be at most {MAX_TOKEN} printable characters, without spaces around them"
            raise SettingError("token", HIDDEN, remedy)
        if not self.host:
            raise SettingError("host", "", "must be an address, e.g. 127.0.0.1 or 0.0.0.0")


@dataclass(frozen=True, kw_only=True)
class MonitorSettings(Settings):
    seconds: float = setting(0.0, "Time to run; 0: until stopped.", low=0.0, high=1e6, unit="s")
    summary_file: str = setting("", "JSON file to write at the end; empty: none.")
    detections_topic: str = setting("detections", "Detection2DArray topic to count.")
    viewer_url: str = setting("", "Address of the page to print; empty: taken from the viewer's diagnostics.")
    interval: float = setting(1.0, "Time between two lines.", low=0.1, high=3600.0, unit="s")
