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

"""The RTP receiver node: H.265 or H.264 over UDP to an image topic, with the capture time of the remote camera."""

from __future__ import annotations

import array
import sys
import threading

import numpy as np
from edgecam_core.camera import calibration
from edgecam_core.camera.calibration import Calibration
from edgecam_core.rtp.receiver import Receiver
from edgecam_core.rtp.receiver_stats import ReceiverStats
from edgecam_core.tracer import TRACER
from edgecam_core.types import Frame
from edgecam_ros.conversions import header_to_ros
from edgecam_ros.diagnostics import OK, WARN, Status
from edgecam_ros.local_topics import LOCAL
from edgecam_ros.main import run
from edgecam_ros.node import EdgecamNode
from edgecam_ros.qos import image_qos
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from edgecam_rtp.settings import ReceiverNodeSettings


class ReceiverNode(EdgecamNode[ReceiverNodeSettings]):
    """Publishes ``image_raw`` (bgr8) and ``camera_info`` from :class:`edgecam_core.rtp.receiver.Receiver`."""

    settings_type = ReceiverNodeSettings

    def __init__(self, **node_arguments: object) -> None:
        super().__init__("rtp_receiver", **node_arguments)
        self._receiver: Receiver | None = None
        self._calibration: Calibration | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._message = Image()
        self._last = ReceiverStats()
        self._topic = self.announce("image_raw", LOCAL)

    def hardware_id(self) -> str:
        return f"udp://{self.settings.host}:{self.settings.port}"

    def open(self) -> None:
        from ament_index_python.packages import get_package_share_directory

        settings = self.settings
        self._calibration = None
        if settings.camera_info_url:
            path = calibration.locate(settings.camera_info_url, settings.camera_name, get_package_share_directory)
            self._calibration = calibration.load(path, settings.camera_info_url)
        self._receiver = Receiver(settings)
        self._images = self.create_publisher(Image, "image_raw", image_qos())
        self._infos = self.create_publisher(CameraInfo, "camera_info", image_qos())

    def start(self) -> None:
        receiver = self._receiver or Receiver(self.settings)
        receiver.start()
        self._receiver = receiver
        self._stopping.clear()
        self._thread = self.start_thread("publish", self._publish_all, receiver)

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
        if self._receiver is not None:
            self._receiver.stop()
        self._thread = self._receiver = None

    def close(self) -> None:
        self.stop()
        for name in ("_images", "_infos"):
            if (publisher := self.__dict__.pop(name, None)) is not None:
                self.destroy_publisher(publisher)

    def _publish_all(self, receiver: Receiver) -> None:
        while not self._stopping.is_set():
            frame = receiver.read(0.2, self._memory)
            if frame is not None:
                self._publish(frame)

    def _memory(self, width: int, height: int) -> np.ndarray:
        """The memory for the next frame: new if nodes of this process may keep it, otherwise that of the message."""
        kept = LOCAL.has_subscribers(self._topic)
        return np.empty((height, width, 3), np.uint8) if kept else self._pixels(width, height)

    def _pixels(self, width: int, height: int) -> np.ndarray:
        """The pixels of the message, which is reused for all frames, because publishing copies it."""
        message = self._message
        if (message.width, message.height) != (width, height):
            message = Image(width=width, height=height, step=3 * width, encoding="bgr8")
            message.data = array.array("B", bytes(3 * width * height))
            self._message = message
        return np.frombuffer(message.data, np.uint8).reshape(height, width, 3)

    def _publish(self, frame: Frame) -> None:
        header = header_to_ros(frame.stamp_ns, frame.frame_id)
        LOCAL.publish(self._topic, frame)
        if self._images.get_subscription_count():
            pixels = self._pixels(frame.width, frame.height)
            if not np.shares_memory(pixels, frame.array()):
                np.copyto(pixels, frame.array())
            self._message.header = header
            self._images.publish(self._message)
            TRACER.reached("receiver.published", frame.stamp_ns)
        if self._infos.get_subscription_count():
            self._infos.publish(self._info(header, frame.width, frame.height))

    def _info(self, header: Header, width: int, height: int) -> CameraInfo:
        """Uncalibrated (``k[0]`` is 0, REP-104), unless there is a calibration with this aspect ratio."""
        info = CameraInfo(header=header, width=width, height=height)
        if self._calibration is not None and self._calibration.fits(width, height):
            scaled = self._calibration.scaled(width, height)
            info.distortion_model = scaled.distortion_model
            info.d, info.k, info.r, info.p = list(scaled.d), list(scaled.k), list(scaled.r), list(scaled.p)
        return info

    def report(self) -> Status:
        if self._receiver is None:
            return Status(WARN, "stopped")
        stats = self._receiver.stats()
        before, self._last = self._last, stats
        changes = {what: count - before.errors.get(what, 0) for what, count in stats.errors.items()}
        problems = [f"{count} x {what}" for what, count in changes.items() if count > 0]
        if stats.problem:
            problems.insert(0, stats.problem)
        if stats.lost > before.lost:
            problems.append(f"{stats.lost - before.lost} packets lost")
        values = {name: value for name, value in vars(stats).items() if name not in ("errors", "problem")}
        values["reconnects"] = max(0, stats.streams - 1)
        return Status(WARN if problems else OK, "; ".join(problems) or "receiving", {**values, **stats.errors})


def main(args: list[str] | None = None) -> int:
    return run(ReceiverNode, args)


if __name__ == "__main__":
    sys.exit(main())
