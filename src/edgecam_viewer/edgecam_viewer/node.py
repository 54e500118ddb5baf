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

"""The viewer node: sends images and detections to browsers."""

from __future__ import annotations

import functools
import json
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from edgecam_core.counters import Counters
from edgecam_core.errors import MissingDependency, SettingError
from edgecam_core.priority import lower_session_priority
from edgecam_ros.diagnostics import Status
from edgecam_ros.main import run
from edgecam_ros.node import EdgecamNode
from rclpy.exceptions import InvalidServiceNameException, InvalidTopicNameException
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from edgecam_viewer.camera_subscription import CameraSubscription
from edgecam_viewer.control import RosControl
from edgecam_viewer.encoder import JpegEncoder
from edgecam_viewer.feed import AnnotatedFrame
from edgecam_viewer.hub import Hub
from edgecam_viewer.invitation import invitation, show
from edgecam_viewer.node_status import NodeStatusTable, node_statuses
from edgecam_viewer.server import WebServer
from edgecam_viewer.settings import ViewerSettings
from edgecam_viewer.status import page_status
from edgecam_viewer.video import Video

TICK = 0.1  # seconds


class ViewerNode(EdgecamNode[ViewerSettings]):
    """Serves the page while it is configured, frames while it is active."""

    settings_type = ViewerSettings

    def __init__(self, **node_arguments: Any) -> None:
        self.server: WebServer | None = None
        self.encoder: JpegEncoder | None = None
        self.control: RosControl | None = None
        self.video: Video | None = None
        self.hub = Hub(0, 1)
        self.node_table = NodeStatusTable()
        self.cameras: list[CameraSubscription] = []
        self._active_timers: list[Timer] = []
        self._reports: Subscription | None = None
        super().__init__("viewer", **node_arguments)

    def open(self) -> None:
        settings = self.settings
        self._check_names(settings)
        cameras = len(settings.image_topics)
        self.hub = Hub(cameras, settings.max_viewers)
        nodes = {
            "detector": _padded(settings.detector_nodes, cameras),
            "camera": _padded(settings.camera_nodes, cameras),
            "recorder": [settings.recorder_node],
            "collector": [settings.collector_node],
            "events": [settings.events_node] * cameras,
        }
        self.control = RosControl(self, nodes, self.faults.add, settings.request_timeout)
        self.video = self._video() if settings.webrtc else None
        self.server = WebServer(settings, self.hub, self.control, self.faults, self.video)
        self.encoder = JpegEncoder(
            self.hub.publish, self.faults, settings.jpeg_quality, settings.max_width, settings.niceness
        )
        self.encoder.start()
        self.server.start()
        lower_session_priority(settings.niceness)
        self._show_address(self.server)
        if self.server.public_without_tls:
            self.get_logger().warning(
                "the page is served without encryption beyond this machine: set tls_certificate and tls_key"
            )

    def start(self) -> None:
        settings = self.settings
        detections = _padded(settings.detections_topics, len(settings.image_topics))
        for index, topics in enumerate(zip(settings.image_topics, detections, strict=True)):
            on_frame = functools.partial(self._show, index)
            self.cameras.append(
                CameraSubscription(self, topics, settings.image_reliability, settings.max_fps, on_frame)
            )
        self._reports = self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 50)
        self._active_timers = [self.create_timer(TICK, self._tick), self.create_timer(1.0, self._every_second)]

    def stop(self) -> None:
        for camera in self.cameras:
            camera.close()
        self.cameras.clear()
        for timer in self._active_timers:
            self.destroy_timer(timer)
        self._active_timers = []
        if self._reports is not None:
            self.destroy_subscription(self._reports)
            self._reports = None

    def close(self) -> None:
        lower_session_priority(0)  # stopping must not wait for CPU time
        # Stop the consumers of frames before their producers.
        for part in (self.server, self.encoder, self.video):
            if part is not None:
                part.stop()
        if self.control is not None:
            self.control.close()
        self.encoder = self.server = self.video = self.control = None

    def apply(self, old: ViewerSettings, new: ViewerSettings) -> None:
        for camera in self.cameras:
            camera.feed.pacer.rate = new.max_fps
        self.hub.max_viewers = new.max_viewers
        if self.encoder is not None:
            self.encoder.quality, self.encoder.max_width = new.jpeg_quality, new.max_width
        if self.server is not None:
            self.server.streams.stall_timeout = new.stall_timeout

    def hardware_id(self) -> str:
        return f"{self.settings.host}:{self.server.port if self.server else self.settings.port}"

    def report(self) -> Status:
        assert self.server is not None
        assert self.encoder is not None
        now = time.monotonic()
        values = {
            "fps": self.encoder.meter.rate(now),
            "encode_ms": 1000 * self.encoder.meter.percentile(now, 50),
            "viewers": self.hub.viewers,
            "frames_sent_per_s": self.hub.meter.rate(now),
            "skipped": self.hub.skipped,
            "refused": self.hub.refused,
            "shed": self.hub.shed,
            "url": self.server.address,  # without the token, because every node can read it
        }
        if self.video is not None:
            values |= self.video.facts(now)
        for counters in self._counters():
            values.update(counters.totals())
        viewers = self.hub.viewers
        return Status(values=values, message=f"{viewers} viewer{'s' * (viewers != 1)}")

    def _counters(self) -> list[Counters]:
        """The counters of faults of all parts."""
        parts = [self.encoder, self.video, *self.cameras]
        web = [self.server.access.counters, self.server.streams.counters] if self.server else []
        return [*web, *(part.counters for part in parts if part is not None)]

    def _check_names(self, settings: ViewerSettings) -> None:
        for name in ("image_topics", "detections_topics"):
            for topic in filter(None, getattr(settings, name)):
                try:
                    self.resolve_topic_name(topic)
                except (InvalidTopicNameException, ValueError) as error:
                    raise SettingError(name, topic, f"is not a topic name ({_first_line(error)})") from None
        for name in ("detector_nodes", "camera_nodes", "recorder_node", "collector_node", "events_node"):
            value = getattr(settings, name)
            for node in filter(None, (value,) if isinstance(value, str) else value):
                try:
                    self.resolve_service_name(f"{node}/record")
                except (InvalidServiceNameException, ValueError) as error:
                    raise SettingError(name, node, f"is not a node name ({_first_line(error)})") from None

    def _show_address(self, server: WebServer) -> None:
        if server.access.token:
            # Not through the logger, which writes to files and to /rosout.
            print(f"open {server.url}", flush=True)
            if server.public:
                show(invitation(server.url, server.access.token))
        else:
            self.get_logger().info(f"open {server.url}")

    def _show(self, camera: int, annotated: AnnotatedFrame) -> None:
        if self.encoder is not None and self.hub.watchers[camera]:
            self.encoder.submit(camera, annotated)
        if self.video is not None and self.hub.video[camera]:
            self.video.submit(camera, annotated)

    def _video(self) -> Video | None:
        try:
            return Video(self.settings, self.hub, self.faults)
        except MissingDependency as error:
            self.get_logger().info(f"no WebRTC, JPEG frames only: {error}")
            return None

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in node_statuses(message, time.monotonic()):
            self.node_table.put(status)

    def _tick(self) -> None:
        now = time.monotonic()
        for frames, video, camera in zip(self.hub.watchers, self.hub.video, self.cameras, strict=True):
            camera.watch(frames + video > 0, now)
        if self.control is not None:
            self.control.work()

    def _every_second(self) -> None:
        """Send the status to the page, and log new faults."""
        errors = ", ".join(filter(None, (counters.take() for counters in self._counters())))
        if errors:
            self.get_logger().warning(errors)
        if self.control is None:
            return
        if self.hub.viewers:
            self.control.refresh()
        status = page_status(self.cameras, self.control, self.node_table.nodes(time.monotonic()), time.monotonic())
        pages = {"labelling": bool(self.settings.collection), "timeline": bool(self.settings.events)}
        status |= {"viewers": self.hub.viewers, "webrtc": self.video is not None, **pages}
        self.hub.note("status", json.dumps(status))


def _padded(values: tuple[str, ...], length: int) -> list[str]:
    return [*values, *[""] * (length - len(values))]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def main() -> int:
    return run(ViewerNode)
