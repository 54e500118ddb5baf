"""The services that write files: ``~/snapshot`` and ``~/record``."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import cv2
import numpy as np
from edgecam_core.camera.capture import Camera
from edgecam_core.camera.picture import Picture
from edgecam_core.camera.record import Recorder, RecordSettings
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.errors import EdgecamError
from edgecam_core.types import Frame
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

_SNAPSHOT_WAIT = 3.0


class FileServices:
    """Answers on the executor's thread; gets its pictures on the camera's thread through :meth:`take`."""

    def __init__(self, node: Node) -> None:
        self.camera: Camera | None = None
        self.settings = CameraSettings()
        self._node = node
        self._recorder: Recorder | None = None
        self._asked = threading.Event()
        self._answered = threading.Event()
        self._snapshot: Frame | None = None
        self._services = (
            node.create_service(Trigger, "~/snapshot", self._on_snapshot),
            node.create_service(SetBool, "~/record", self._on_record),
        )

    def close(self) -> None:
        self.end()
        for service in self._services:
            self._node.destroy_service(service)

    def end(self) -> list[Path]:
        """End a recording, if there is one; gives its files. Blocks until they are complete."""
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return []
        if self.camera:
            self.camera.tap(None)
        return recorder.close()

    def status(self) -> dict[str, object]:
        """What the diagnostics say about the recording."""
        recorder = self._recorder
        if recorder is None:
            return {"recording": "no"}
        state = f"error: {recorder.error}" if recorder.error else f"{recorder.pictures} pictures"
        return {"recording": state}

    def take(self, picture: Picture) -> None:
        """On the camera's thread, with every picture."""
        if self._asked.is_set():
            self._asked.clear()
            self._snapshot = picture.frame(self.settings.image_encoding)
            self._answered.set()
        recorder = self._recorder
        if recorder is not None and self.camera is not None and not self.camera.plan.tapped:
            recorder.push(picture.sample)

    def _on_snapshot(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self.camera is None:
            return _answer(response, False, "the camera is not active")
        self._answered.clear()
        self._asked.set()
        if not self._answered.wait(_SNAPSHOT_WAIT) or self._snapshot is None:
            self._asked.clear()
            return _answer(response, False, f"no picture came within {_SNAPSHOT_WAIT:g} s")
        path = _folder(self.settings) / snapshot_name(self.settings, self._snapshot.stamp_ns)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_snapshot(path, self._snapshot, self.settings.jpeg_quality)
        except OSError as error:
            return _answer(response, False, f"{path} cannot be written ({error.strerror}); set output_directory")
        return _answer(response, True, str(path))

    def _on_record(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if request.data:
            return self._begin(response)
        if self._recorder is None:
            return _answer(response, False, "there is no recording to end")
        error = self._recorder.error
        files = self.end()
        told = ", ".join(map(str, files))
        return _answer(response, bool(files) and not error, f"{error}; wrote {told}" if error else told or "no picture")

    def _begin(self, response: SetBool.Response) -> SetBool.Response:
        if self._recorder is not None:
            return _answer(response, False, "there is a recording already; end it first")
        if self.camera is None:
            return _answer(response, False, "the camera is not active")
        s = self.settings
        try:
            self._recorder = Recorder(
                RecordSettings(
                    directory=_folder(s),
                    name=s.camera_name,
                    form=s.record_format,
                    split_seconds=s.record_split_seconds,
                    split_mb=s.record_split_mb,
                    encoder=s.record_encoder,
                    bitrate=s.record_bitrate,
                )
            )
        except EdgecamError as error:
            return _answer(response, False, str(error))
        if self.camera.plan.tapped:
            self.camera.tap(self._recorder.push)
        return _answer(response, True, f"recording into {_folder(s)}")


def _folder(settings: CameraSettings) -> Path:
    return Path(settings.output_directory).expanduser()


def _answer(response: object, success: bool, message: str) -> object:
    response.success, response.message = success, message  # type: ignore[attr-defined]
    return response


def snapshot_name(settings: CameraSettings, stamp_ns: int) -> str:
    """``camera_20260131T235959.123456789Z.png``: the capture time in UTC, to the nanosecond of the message's stamp."""
    seconds, nanoseconds = divmod(stamp_ns, 10**9)
    when = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
    return f"{settings.camera_name}_{when}.{nanoseconds:09d}Z.{settings.snapshot_format}"


def write_snapshot(path: Path, frame: Frame, jpeg_quality: int) -> None:
    """Write a picture by its suffix, whole or not at all. Raises OSError."""
    pixels: np.ndarray = frame.array() if frame.encoding == "mono8" else frame.bgr()
    options = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality] if path.suffix == ".jpg" else []
    _ok, data = cv2.imencode(path.suffix, pixels, options)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data.tobytes())
    part.replace(path)
