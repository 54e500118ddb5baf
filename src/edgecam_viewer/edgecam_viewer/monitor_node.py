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

"""The monitor node: prints one line per second and a summary at the end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from edgecam_core.errors import EdgecamError, SettingError
from edgecam_ros.conversions import ns_from_stamp
from edgecam_ros.detections import detections_from_ros
from edgecam_ros.diagnostics import Status
from edgecam_ros.main import run
from edgecam_ros.node import EdgecamNode
from vision_msgs.msg import Detection2DArray

from edgecam_viewer.monitor import Monitor, write_summary
from edgecam_viewer.node_status import NodeStatusTable, node_statuses
from edgecam_viewer.settings import MonitorSettings
from edgecam_viewer.wire import found_list


class MonitorNode(EdgecamNode[MonitorSettings]):
    """Prints to stdout. Ends after ``seconds``, if set, with exit code 0, or 1 if nothing was detected."""

    settings_type = MonitorSettings

    def __init__(self, **node_arguments: Any) -> None:
        self._node_status = NodeStatusTable()
        self._monitor: Monitor | None = None
        self._url_shown = False
        super().__init__("monitor", **node_arguments)

    def open(self) -> None:
        path = self.settings.summary_file
        if path and not Path(path).absolute().parent.is_dir():
            raise SettingError("summary_file", path, "its directory does not exist")

    def start(self) -> None:
        self._began = time.monotonic()
        self._monitor = Monitor(self.get_namespace(), self._began)
        self._show_url(self.settings.viewer_url)
        self._results = self.create_subscription(
            Detection2DArray, self.settings.detections_topic, self._on_detections, 10
        )
        self._reports = self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 50)
        self._clock_timer = self.create_timer(self.settings.interval, self._tick)

    def stop(self) -> None:
        if self._monitor is None:
            return
        self.destroy_timer(self._clock_timer)
        self.destroy_subscription(self._results)
        self.destroy_subscription(self._reports)
        self._conclude(self._monitor)
        self._monitor = None

    def report(self) -> Status:
        assert self._monitor is not None
        return Status(values={"seconds": time.monotonic() - self._began})

    def _on_detections(self, message: Detection2DArray) -> None:
        assert self._monitor is not None
        latency = (self.get_clock().now().nanoseconds - ns_from_stamp(message.header.stamp)) * 1e-9
        self._monitor.found(found_list(detections_from_ros(message)), latency, time.monotonic())

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in node_statuses(message, time.monotonic()):
            self._node_status.put(status)
            self._show_url(status.values.get("url", ""))

    def _show_url(self, url: str) -> None:
        if url and not self._url_shown:
            self._url_shown = True
            _print(f"viewer: {url}")

    def _tick(self) -> None:
        assert self._monitor is not None
        now = time.monotonic()
        _print(self._monitor.line(self._node_status.nodes(now), now))
        seconds = self.settings.seconds
        # A timer may fire slightly early; without the tolerance there would be one line too many.
        if seconds and now - self._began >= seconds - self.settings.interval / 2:
            self.finish(self._monitor.summary(now).exit_code)

    def _conclude(self, monitor: Monitor) -> None:
        summary = monitor.summary(time.monotonic())
        for line in summary.lines():
            _print(line)
        if self.settings.summary_file:
            try:
                write_summary(summary, self.settings.summary_file)
            except OSError as error:
                self.fail(EdgecamError(f"the summary was not written: {error}"))


def _print(line: str) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:  # the reader has closed; counting continues
        pass


def main() -> int:
    return run(MonitorNode)
