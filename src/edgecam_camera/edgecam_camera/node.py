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

"""The camera node: publishes ``image_raw`` and ``camera_info``; capturing is implemented in edgecam_core."""

from __future__ import annotations

import sys
from typing import Protocol

from edgecam_core.camera import sources
from edgecam_core.camera.capture import Camera
from edgecam_core.camera.captured_frame import CapturedFrame
from edgecam_core.camera.preparing import prepare
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.tracer import TRACER
from edgecam_ros.diagnostics import ERROR, OK, WARN, Status
from edgecam_ros.local_topics import CAPTURED, LOCAL
from edgecam_ros.main import run
from edgecam_ros.node import EdgecamNode
from std_srvs.srv import Trigger

from edgecam_camera import calibrations
from edgecam_camera.calibrations import CalibrationService
from edgecam_camera.controls import PREFIX, ControlParameters
from edgecam_camera.file_services import FileServices
from edgecam_camera.publishers import CompressedPublisher, InfoPublisher, RawPublisher, image_header


class Closable(Protocol):
    def close(self) -> None: ...


class CameraNode(EdgecamNode[CameraSettings]):
    """Publishes the frames of one camera. ``configure`` checks the settings; the device is open only while active."""

    settings_type = CameraSettings
    open_prefixes = (PREFIX,)

    def __init__(self, **node_arguments: object) -> None:
        self._camera: Camera | None = None
        self._parts: list[Closable] = []
        super().__init__("camera_driver", **node_arguments)
        self._topic = self.announce("image_raw", CAPTURED, LOCAL)
        self.create_service(Trigger, "~/step", self._on_step)

    def hardware_id(self) -> str:
        return f"{self.settings.camera_name}: {sources.shown(self.settings)}"

    def open(self) -> None:
        prepare(self.settings)
        calibration = calibrations.load(self.settings)
        reliability = self.settings.image_reliability
        self._raw = RawPublisher(self, reliability)
        self._compressed = CompressedPublisher(self, reliability)
        self._info = InfoPublisher(self, reliability)
        self._info.use(calibration)
        self._files = FileServices(self)
        self._files.settings = self.settings
        service = CalibrationService(self, lambda: self.settings, self._info)
        self._controls = ControlParameters(self, self.settings)
        self._parts = [self._raw, self._compressed, self._info, self._files, service, self._controls]

    def start(self) -> None:
        clock = self.get_clock()
        self._camera = Camera(
            self.settings,
            self._on_frame,
            ros_now_ns=lambda: int(clock.now().nanoseconds),
            on_event=self._on_event,
            on_failure=self.recover,
            has_consumers=self._has_consumers,
        )
        for note in self._camera.plan.notes:
            self.get_logger().info(note)
        self._files.camera = self._camera
        self._camera.start()

    def stop(self) -> None:
        if self._camera is not None:
            self._camera.stop()
            self._controls.released()
            if files := self._files.end():
                self.get_logger().info(f"recording ended: {', '.join(map(str, files))}")
            self._files.camera = self._camera = None

    def close(self) -> None:
        for part in self._parts:
            part.close()
        self._parts = []

    def apply(self, old: CameraSettings, new: CameraSettings) -> None:
        if self._camera is not None:
            self._camera.change(new)
        else:
            prepare(new)
        if self._parts:
            self._files.settings = new

    def report(self) -> Status:
        if self._camera is None:
            return Status(WARN, "no camera")
        status = self._camera.status()
        if status.state == "streaming":
            self._controls.refresh(status.reconnects)
        level = {"streaming": OK, "ended": OK, "opening": WARN}.get(status.state, ERROR)
        message = f"{status.state}: {status.problem}" if status.problem else status.state
        if bad := self._camera.problems():
            level, message = max(level, WARN), f"{message}; {bad}"
        if misfit := self._info.misfit():
            level, message = max(level, WARN), f"{message}; {misfit}"
        severity, problem = self._files.problem()
        if problem:
            level, message = max(level, severity), f"{message}; {problem}"
        values = {
            "source": sources.shown(self.settings),
            "fps": status.fps,
            "size": f"{status.width}x{status.height}",
            "frames": status.frames,
            "drops": status.drops,
            "held": status.held,
            "skipped": status.skipped,
            "bad": status.bad,
            "reconnects": status.reconnects,
            "last_frame_age": status.last_frame_age,
            **self._files.status(),
            "chosen": self._camera.chosen(),
        }
        return Status(level, message, values)

    def _on_step(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        camera = self._camera
        response.success = camera is not None and camera.can_step
        if camera is not None and camera.can_step:
            camera.step()
        else:
            response.message = "only an open recording waits for steps: mcap:///file.mcap?step=true"
        return response

    def _has_consumers(self) -> bool:
        """Whether anything uses the frames; called on GStreamer's threads."""
        parts = (self._raw, self._compressed, self._info, self._files)
        return CAPTURED.has_subscribers(self._topic) or any(part.has_consumers() for part in parts)

    def _on_frame(self, frame: CapturedFrame) -> None:
        """Publish a frame; called on the camera's thread."""
        TRACER.reached("camera.captured", frame.stamp_ns)
        CAPTURED.publish(self._topic, frame)
        header = image_header(frame)
        if self._raw.has_consumers():
            self._raw.publish(frame, header, self.settings.image_encoding)
            TRACER.reached("camera.published", frame.stamp_ns)
        else:
            self._raw.prepare(frame, header, self.settings.image_encoding)
        if self._compressed.has_consumers():
            self._compressed.publish(frame, header, self.settings.image_encoding, self.settings.jpeg_quality)
        self._info.publish(frame, header, self.settings)
        self._files.take(frame)

    def _on_event(self, problem: bool, text: str) -> None:
        """Log a change of state; called on the camera's thread."""
        if problem:
            self.get_logger().warning(text)
        else:
            self.get_logger().info(text)


def main() -> int:
    return run(CameraNode)


if __name__ == "__main__":
    sys.exit(main())
