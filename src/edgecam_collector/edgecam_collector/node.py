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

"""The collector node: joins frames and detections by stamp and keeps the frames that the rules select."""

from __future__ import annotations

import sys
import threading
import time

from edgecam_core.collect.collector import Collector
from edgecam_core.collect.observation import Observation
from edgecam_core.counters import Meter
from edgecam_core.errors import EdgecamError
from edgecam_core.priority import lower_session_priority
from edgecam_ros.background import Background
from edgecam_ros.diagnostics import ERROR, OK, WARN, Status
from edgecam_ros.main import run
from edgecam_ros.node import EdgecamNode
from edgecam_ros.qos import latched_qos
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.subscription import Subscription
from std_srvs.srv import Trigger
from vision_msgs.msg import VisionInfo

from edgecam_collector.camera import CollectorSubscriptions
from edgecam_collector.settings import CollectorNodeSettings

_NICENESS = 10
_REQUEST_WAIT = 10.0  # seconds to wait for a requested frame


class CollectorNode(EdgecamNode[CollectorNodeSettings]):
    """Subscribes ``image_raw`` (or ``image_raw/compressed``), ``detections`` and, for the rule ``disagree``,
    ``shadow/detections``; offers ``~/keep``, which keeps the next frame of every camera.
    """

    settings_type = CollectorNodeSettings

    def __init__(self, **node_arguments: object) -> None:
        super().__init__("collector", **node_arguments)
        self._collector: Collector | None = None
        self._cameras: list[CollectorSubscriptions] = []
        self._vision: Subscription | None = None
        self._examined = Meter()
        # A separate group: frames must be received while the service waits for one.
        group = MutuallyExclusiveCallbackGroup()
        self._keep = self.create_service(Trigger, "~/keep", self._on_keep, callback_group=group)

    def open(self) -> None:
        self._collector = Collector(self.settings)
        self._vision = self.create_subscription(VisionInfo, "vision_info", self._on_vision_info, latched_qos())

    def start(self) -> None:
        if self._collector is None:
            return
        if not self.neighbours:  # a separate process
            lower_session_priority(_NICENESS)
        self._cameras = [
            CollectorSubscriptions(
                self,
                name,
                self._examine,
                self._collector.counters,
                compressed=self.settings.image_format == "source",
                shadow="disagree" in self.settings.rules,
                reliability=self.settings.image_reliability,
            )
            for name in self.settings.cameras or ("",)
        ]

    def stop(self) -> None:
        if not self.neighbours:
            lower_session_priority(0)  # stopping must not wait for CPU time
        for camera in self._cameras:
            camera.close()
        self._cameras = []

    def close(self) -> None:
        if self._vision is not None:
            self.destroy_subscription(self._vision)
        if self._collector is not None:
            self._collector.close()
        self._vision, self._collector = None, None

    def apply(self, old: CollectorNodeSettings, new: CollectorNodeSettings) -> None:
        if self._collector is not None:
            self._collector.update(new)

    def _on_vision_info(self, message: VisionInfo) -> None:
        if self._collector is not None:
            self._collector.model = {"method": message.method, "version": str(message.database_version)}

    def _examine(self, observation: Observation) -> None:
        self._examined.add(time.monotonic())
        if self._collector is not None:
            self._collector.examine(observation)

    async def _on_keep(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        collector, cameras = self._collector, [camera.camera for camera in self._cameras]
        if collector is None or not cameras:
            response.success, response.message = False, "the collector is not active"
            return response
        answers: list[str] = []
        answered = threading.Event()

        def done(text: str) -> None:
            answers.append(text)
            if len(answers) == len(cameras):
                answered.set()

        for camera in cameras:
            collector.request(camera, done)
        await Background(self, lambda: answered.wait(_REQUEST_WAIT))
        names = [text for text in answers if not text.startswith("error: ")]
        problems = [text for text in answers if text.startswith("error: ")]
        if len(answers) < len(cameras):
            missing = len(cameras) - len(answers)
            problems.append(f"no frame with detections arrived from {missing} of {len(cameras)} cameras")
        response.success = not problems
        response.message = ", ".join([*names, *problems])
        return response

    def report(self) -> Status:
        collector = self._collector
        if collector is None:
            return Status(WARN, "closing")
        now = time.monotonic()
        values = {
            "collection": str(collector.collection.root),
            "frames": collector.frames,
            "megabytes": collector.megabytes,
            "examined_per_s": self._examined.rate(now),
            "looked_at_per_s": self._examined.rate(now),  # the old name, until 0.3.0
            **{f"kept_{rule}": count for rule, count in collector.kept.items()},
            **collector.counters.totals(),
        }
        problem: EdgecamError | None = collector.problem
        if problem is not None:
            return Status(ERROR, str(problem), values)
        if self._examined.rate(now) == 0:
            topics = ", ".join(camera.image_topic for camera in self._cameras)
            return Status(WARN, f"no frame with detections of the same stamp on {topics}", values)
        return Status(OK, f"{collector.frames} frames kept", values)


def main(args: list[str] | None = None) -> int:
    return run(CollectorNode, args)


if __name__ == "__main__":
    sys.exit(main())
