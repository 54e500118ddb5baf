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

"""The services ``~/snapshot`` and ``~/record``, which write files."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
from edgecam_core.camera.capture import Camera
from edgecam_core.camera.captured_frame import CapturedFrame
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.camera.video_recorder import RecordSettings, VideoRecorder
from edgecam_core.errors import EdgecamError, SettingError
from edgecam_core.files import write_atomically
from edgecam_core.types import Frame
from edgecam_ros.background import Background
from edgecam_ros.diagnostics import ERROR, OK, WARN
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

_SNAPSHOT_WAIT = 10.0  # seconds; an idle stream must wait for its next keyframe


class FileServices:
    """The services respond on the executor's thread, but wait for frames and disk writes in the background.

    The camera's thread passes frames to :meth:`take`.
    """

    def __init__(self, node: Node) -> None:
        self.camera: Camera | None = None
        self.settings = CameraSettings()
        self._node = node
        self._recorder: VideoRecorder | None = None
        self._reported = False  # the failure of the recording has been logged
        self._dropped = 0
        self._one_snapshot = threading.Lock()
        self._requested = threading.Event()
        self._delivered = threading.Event()
        self._snapshot: Frame | None = None
        # A separate callback group: a waiting callback blocks the other callbacks of its group.
        group = MutuallyExclusiveCallbackGroup()
        self._services = (
            node.create_service(Trigger, "~/snapshot", self._on_snapshot, callback_group=group),
            node.create_service(SetBool, "~/record", self._on_record, callback_group=group),
        )

    def close(self) -> None:
        self.end()
        self._delivered.set()  # release a waiting snapshot
        for service in self._services:
            self._node.destroy_service(service)

    def end(self) -> list[Path]:
        """End the recording, if any, and return its files. Blocks until they are complete."""
        recorder = self._take_recorder()
        return recorder.close() if recorder else []

    def _take_recorder(self) -> VideoRecorder | None:
        """Detach the recorder: it receives no more frames."""
        recorder, self._recorder = self._recorder, None
        if recorder and self.camera:
            self.camera.on_coded(None)
        return recorder

    def status(self) -> dict[str, object]:
        """Diagnostics values of the recording."""
        recorder = self._recorder
        if recorder is None:
            return {"recording": "no"}
        state = f"error: {recorder.error}" if recorder.error else f"{recorder.frames} frames"
        return {"recording": state, "recording_dropped": recorder.dropped}

    def problem(self) -> tuple[bytes, str]:
        """Diagnostics level and text of a recording problem; called once a second."""
        recorder = self._recorder
        if recorder is None:
            return OK, ""
        if recorder.error:
            text = f"the recording has ended: {recorder.error}"
            if not self._reported:
                self._reported = True
                self._node.get_logger().error(text)
            return ERROR, text
        fresh, self._dropped = recorder.dropped - self._dropped, recorder.dropped
        return (WARN, f"{fresh} frames not recorded: the encoder or the disk is too slow") if fresh else (OK, "")

    def has_consumers(self) -> bool:
        """Whether a snapshot is waiting for a frame."""
        return self._requested.is_set()

    def take(self, frame: CapturedFrame) -> None:
        """Process a frame; called on the camera's thread."""
        if self._requested.is_set():
            self._requested.clear()
            self._snapshot = frame.frame(self.settings.image_encoding)
            self._delivered.set()
        recorder = self._recorder
        if recorder is not None and self.camera is not None and not self.camera.plan.has_coded:
            recorder.push(frame.sample)

    async def _on_snapshot(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self.camera is None:
            return _filled(response, False, "the camera is not active")
        return _filled(response, *await Background(self._node, self._take_snapshot))

    def _take_snapshot(self) -> tuple[bool, str]:
        """Wait for the next frame and write it."""
        with self._one_snapshot:
            self._delivered.clear()
            self._snapshot = None
            self._requested.set()
            self._delivered.wait(_SNAPSHOT_WAIT)
            self._requested.clear()
            snapshot = self._snapshot
        if snapshot is None:
            return False, f"no frame arrived within {_SNAPSHOT_WAIT:g} s"
        path = _folder(self.settings) / snapshot_name(self.settings, snapshot.stamp_ns)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_snapshot(path, snapshot, self.settings.jpeg_quality)
        except OSError as error:
            return False, f"{path} cannot be written ({error.strerror}); set output_directory"
        return True, str(path)

    async def _on_record(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if request.data:
            return self._begin(response)
        recorder = self._take_recorder()
        if recorder is None:
            return _filled(response, False, "there is no recording to stop")
        files = await Background(self._node, recorder.close)
        names, error = ", ".join(map(str, files)), recorder.error
        return _filled(response, bool(files) and not error, f"{error}; wrote {names}" if error else names or "no frame")

    def _begin(self, response: SetBool.Response) -> SetBool.Response:
        if self._recorder is not None:
            return _filled(response, False, "a recording is already running; stop it first")
        if self.camera is None:
            return _filled(response, False, "the camera is not active")
        s = self.settings
        try:
            if s.image_encoding.startswith("bayer"):
                remedy = "a Bayer mosaic cannot be recorded; use bgr8, rgb8, mono8, nv12 or yuv422_yuy2"
                raise SettingError("image_encoding", s.image_encoding, remedy)
            self._recorder = VideoRecorder(
                RecordSettings(
                    directory=_folder(s),
                    name=s.camera_name,
                    container=s.record_format,
                    split_seconds=s.record_split_seconds,
                    split_mb=s.record_split_mb,
                    encoder=s.record_encoder,
                    bitrate=s.record_bitrate,
                )
            )
        except EdgecamError as error:
            return _filled(response, False, str(error))
        self._reported, self._dropped = False, 0
        if self.camera.plan.has_coded:
            self.camera.on_coded(self._recorder.push)
        return _filled(response, True, f"recording to {_folder(s)}")


def _folder(settings: CameraSettings) -> Path:
    return Path(settings.output_directory).expanduser()


def _filled(response: object, success: bool, message: str) -> object:
    response.success, response.message = success, message  # type: ignore[attr-defined]
    return response


def snapshot_name(settings: CameraSettings, stamp_ns: int) -> str:
    """``camera_20260131T235959.123456789Z.png``: the capture time in UTC, to the nanosecond."""
    seconds, nanoseconds = divmod(stamp_ns, 10**9)
    when = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
    return f"{settings.camera_name}_{when}.{nanoseconds:09d}Z.{settings.snapshot_format}"


def write_snapshot(path: Path, frame: Frame, jpeg_quality: int) -> None:
    """Write a frame atomically in the format of the suffix.

    Raises:
        OSError: the file cannot be written.
    """
    import cv2

    pixels: np.ndarray = frame.array() if frame.encoding == "mono8" else frame.bgr()
    options = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality] if path.suffix == ".jpg" else []
    _ok, data = cv2.imencode(path.suffix, pixels, options)
    write_atomically(path, data.tobytes())
