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

"""The recorder node: records topics on disk."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from edgecam_core.errors import EdgecamError
from edgecam_core.recording.message import RecordingError
from edgecam_ros.background import Background
from edgecam_ros.diagnostics import ERROR, OK, WARN, Status
from edgecam_ros.main import run
from edgecam_ros.node import EdgecamNode
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from std_srvs.srv import SetBool, Trigger

from edgecam_recorder.settings import RecorderNodeSettings
from edgecam_recorder.subscriptions import TopicSubscriptions

if TYPE_CHECKING:
    from edgecam_core.recording.recorder import Recorder

_REFRESH_SECONDS = 0.5


class RecorderNode(EdgecamNode[RecorderNodeSettings]):
    """Subscribes to ``topics`` while it records; ``~/record`` starts and stops, ``~/snapshot`` completes the recording
    and begins the next one.
    """

    settings_type = RecorderNodeSettings

    def __init__(self, **node_arguments: object) -> None:
        super().__init__("recorder", **node_arguments)
        self._recorder: Recorder | None = None
        self._topics: TopicSubscriptions | None = None
        self._timer: Any = None
        # A separate group: messages must be received while a service waits for the disk.
        group = MutuallyExclusiveCallbackGroup()
        self.create_service(SetBool, "~/record", self._on_record, callback_group=group)
        self.create_service(Trigger, "~/snapshot", self._on_snapshot, callback_group=group)

    def open(self) -> None:
        from edgecam_core.recording.recorder import Recorder  # raises MissingDependency, which names the command

        self._recorder = Recorder(self.settings, lambda problem: self.faults.add("", problem))

    def start(self) -> None:
        if self._recorder is not None and self.settings.record_at_start:
            path = self._recorder.start()
            self._subscribe()
            self.get_logger().info(f"recording to {path}")

    def stop(self) -> None:
        self._unsubscribe()
        if self._recorder is not None and (path := self._recorder.stop()) is not None:
            self.get_logger().info(f"recorded {self._recorder.messages} messages to {path}")

    def close(self) -> None:
        self._unsubscribe()
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.close()

    def apply(self, old: RecorderNodeSettings, new: RecorderNodeSettings) -> None:
        if self._recorder is not None:
            self._recorder.update(new)

    def _subscribe(self) -> None:
        recorder = self._recorder
        assert recorder is not None
        self._topics = TopicSubscriptions(self, self.settings.topics, recorder.write, self.get_logger().warning)
        self._timer = self.create_timer(_REFRESH_SECONDS, self._refresh)
        self._topics.refresh()

    def _unsubscribe(self) -> None:
        if self._timer is not None:
            self.destroy_timer(self._timer)
        if self._topics is not None:
            self._topics.close()
        self._timer, self._topics = None, None

    def _refresh(self) -> None:
        if self._recorder is not None and not self._recorder.recording:
            self._unsubscribe()  # the recording has ended: let publishers save the work
        elif self._topics is not None:
            self._topics.refresh()

    def _active(self) -> Recorder:
        if self._recorder is None or self.state_label() != "active":
            raise RecordingError("the recorder is not active")
        return self._recorder

    async def _on_record(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        recorder = self._active()
        if request.data:
            response.message = str(await Background(self, recorder.start))
            self._unsubscribe()
            self._subscribe()
        else:
            self._unsubscribe()
            path = await Background(self, recorder.stop)
            response.message = str(path) if path else "no recording was running"
        response.success = True
        return response

    async def _on_snapshot(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.message = str(await Background(self, self._active().snapshot))
        response.success = True
        return response

    def report(self) -> Status:
        recorder, topics = self._recorder, self._topics
        if recorder is None:
            return Status(WARN, "closing")
        now = time.monotonic()
        values = {
            "recording": str(recorder.file or "no"),
            "messages": recorder.messages,
            "megabytes": recorder.megabytes,
            "rolling": self.settings.rolling,
            "messages_per_s": recorder.rate.rate(now),
            "waiting_megabytes": recorder.waiting_megabytes,
            "topics": ", ".join(topics.topics) if topics else "",
            "not_published": ", ".join(topics.missing) if topics else "",
            **recorder.counters.totals(),
        }
        problem: EdgecamError | None = recorder.problem
        if problem is not None:
            return Status(ERROR, str(problem), values)
        if dropped := recorder.counters.take():
            return Status(WARN, dropped, values)
        if topics is not None and not topics.topics:
            return Status(WARN, f"recording, but there is no publisher of {', '.join(topics.missing)}", values)
        return Status(OK, f"recording {len(topics.topics)} topics" if topics else "waiting for ~/record", values)


def main(args: list[str] | None = None) -> int:
    return run(RecorderNode, args)


if __name__ == "__main__":
    sys.exit(main())
