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

"""The RTP sender node: an image topic to H.265 or H.264 over UDP."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgecam_core.counters import Counters
from edgecam_core.errors import EdgecamError, ImageError
from edgecam_core.rtp.sender import Sender
from edgecam_core.rtp.sender_stats import SenderStats
from edgecam_core.tracer import TRACER
from edgecam_ros.conversions import image_from_ros, ns_from_stamp
from edgecam_ros.diagnostics import OK, WARN, Status
from edgecam_ros.local_topics import CAPTURED
from edgecam_ros.main import run
from edgecam_ros.node import EdgecamNode
from edgecam_ros.qos import sensor_qos
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from edgecam_rtp import direct
from edgecam_rtp.settings import SenderNodeSettings
from edgecam_rtp.video_topic import VideoTopic, message_type

if TYPE_CHECKING:
    from edgecam_core.camera.captured_frame import CapturedFrame

STALLED_SECONDS = 2.0
HIDDEN = ("errors", "encoder")


class SenderNode(EdgecamNode[SenderNodeSettings]):
    """Passes ``image_raw`` to :class:`edgecam_core.rtp.sender.Sender`; serves ``~/force_keyframe``.

    Direct mode: if the camera node of the topic is in this process (``container_node``), its frames arrive as captured,
    without a message, and are encoded on the camera's thread.
    """

    settings_type = SenderNodeSettings

    def __init__(self, **node_arguments: object) -> None:
        super().__init__("rtp_sender", **node_arguments)
        self._sender: Sender | None = None
        self._images: Any = None
        self._video: VideoTopic | None = None
        self._service: Any = None
        self._errors = Counters()
        self._last = SenderStats()

    def hardware_id(self) -> str:
        return f"udp://{self.settings.host}:{self.settings.port}"

    def open(self) -> None:
        self._sender = Sender(self.settings, self.recover)
        self._service = self.create_service(Trigger, "~/force_keyframe", self._force_keyframe)

    def start(self) -> None:
        # A stopped sender has sent BYE, so every activation is a new stream.
        sender = self._sender or Sender(self.settings, self.recover)
        if message := message_type():
            self._video = VideoTopic(self, message, self.settings.codec, sender.force_keyframe)
            sender.on_coded = self._video.send
        sender.start()
        self._sender = sender
        if CAPTURED.is_announced(self._topic()):
            CAPTURED.subscribe(self._topic(), self._captured)
            return
        qos = sensor_qos(self.settings.image_reliability)
        self._images = self.create_subscription(Image, "image_raw", self._received, qos)

    def stop(self) -> None:
        CAPTURED.unsubscribe(self._topic(), self._captured)
        if self._images is not None:
            self.destroy_subscription(self._images)
        if self._sender is not None:
            self._sender.stop()
        if self._video is not None:
            self._video.close()
        self._images = self._sender = self._video = None

    def close(self) -> None:
        if self._service is not None:
            self.destroy_service(self._service)
        self._service = None
        self.stop()

    def apply(self, old: SenderNodeSettings, new: SenderNodeSettings) -> None:
        if self._sender is not None and new.bitrate != old.bitrate:
            self._sender.set_bitrate(new.bitrate)

    def _received(self, message: Image) -> None:
        TRACER.reached("sender.received", ns_from_stamp(message.header.stamp))
        self._send(lambda sender: sender.send(image_from_ros(message)))

    def _captured(self, frame: CapturedFrame) -> None:
        """Send a captured frame; called on the camera's thread."""
        TRACER.reached("sender.received", frame.stamp_ns)
        self._send(lambda sender: direct.send(sender, frame))

    def _send(self, send: Callable[[Sender], None]) -> None:
        if (sender := self._sender) is None:
            return
        try:
            send(sender)
        except ImageError as error:
            self._errors.add(str(error))
        except EdgecamError as error:
            self.recover(error)

    def _topic(self) -> str:
        return str(self.resolve_topic_name("image_raw"))

    def _force_keyframe(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._sender is not None and self._sender.force_keyframe()
        response.message = "the next frame is a keyframe" if response.success else "no frame has arrived yet"
        return response

    def report(self) -> Status:
        if self._sender is None:
            return Status(WARN, "stopped")
        stats = self._sender.stats()
        problems = [errors] if (errors := self._errors.take()) else []
        problems += _fresh(self._last.errors, stats.errors)
        if stats.frames_in == self._last.frames_in:
            problems.append(f"no frames on {self._topic()}")
        if stats.stalled > STALLED_SECONDS:
            problems.append(f"{stats.encoder} stalled for {stats.stalled:.0f} s")
        if stats.frames_skipped > self._last.frames_skipped:
            problems.append(f"{stats.encoder} is too slow: frames skipped")
        if stats.frames_withheld > self._last.frames_withheld:
            problems.append(f"the link is full: {stats.frames_withheld - self._last.frames_withheld} frames not sent")
        self._last = stats
        values = {name: value for name, value in vars(stats).items() if name not in HIDDEN}
        values = {"encoder": stats.encoder, **values, **stats.errors, **self._errors.totals()}
        return Status(WARN if problems else OK, "; ".join(problems) or "sending", values)


def _fresh(before: dict[str, int], now: dict[str, int]) -> list[str]:
    """The events counted since the last report, as texts."""
    changes = {what: count - before.get(what, 0) for what, count in now.items()}
    return [f"{count} x {what}" for what, count in changes.items() if count]


def main(args: list[str] | None = None) -> int:
    return run(SenderNode, args)


if __name__ == "__main__":
    sys.exit(main())
