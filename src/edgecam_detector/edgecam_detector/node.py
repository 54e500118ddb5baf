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

"""The detector node: subscribes to frames, publishes vision_msgs/Detection2DArray."""

from __future__ import annotations

import sys
import time

from edgecam_core.counters import Meter
from edgecam_core.errors import EdgecamError, SettingError
from edgecam_core.inference.runner import Progress
from edgecam_core.models.detector import Detector
from edgecam_core.models.opening import open_beside, open_tuned
from edgecam_core.models.shadow import ShadowWorker
from edgecam_core.models.worker import DetectionJob, DetectionWorker
from edgecam_core.models.zoo import check_model
from edgecam_core.tracer import TRACER
from edgecam_core.types import Detections, Frame
from edgecam_ros.conversions import header_to_ros, image_from_ros, ns_from_stamp
from edgecam_ros.diagnostics import ERROR, OK, WARN, Status
from edgecam_ros.main import run
from edgecam_ros.node import EdgecamNode
from sensor_msgs.msg import Image

from edgecam_detector.camera import CameraTopics
from edgecam_detector.class_info import ClassInfo
from edgecam_detector.logs import forward_logs_to
from edgecam_detector.models import ModelServices
from edgecam_detector.settings import DetectorNodeSettings
from edgecam_detector.tuning import Tuner


class DetectorNode(EdgecamNode[DetectorNodeSettings]):
    """Subscribes ``image_raw``, publishes ``detections``, ``overlay``, ``label_info`` and ``vision_info``.

    After configuring, the detection thread loads the model. Until it is loaded, frames are dropped and diagnostics show
    the progress. If it cannot be loaded, diagnostics show the error and loading is retried.
    """

    settings_type = DetectorNodeSettings

    def __init__(self, **node_arguments: object) -> None:
        super().__init__("detector", **node_arguments)
        self._cameras: dict[str, CameraTopics] = {}
        self._class_info: ClassInfo | None = None
        self._worker: DetectionWorker | None = None
        self._models: ModelServices | None = None
        self._tuner: Tuner | None = None
        self._shadow: ShadowWorker | None = None
        self._receive, self._latency = Meter(), Meter()

    def open(self) -> None:
        check_model(self.settings.model)
        if self.settings.shadow_model:
            check_model(self.settings.shadow_model)
        self._cameras = {name: CameraTopics(self, name) for name in self.settings.cameras or ("",)}
        self._class_info = ClassInfo(self)
        linger = self.settings.batch_timeout_ms / 1e3
        self._worker = DetectionWorker(
            self._load, self._loaded, self._deliver, self.recover, linger, on_load_error=self._on_load_error
        )
        self._worker.start()
        self._models = ModelServices(
            self, self.settings.model, lambda: self._worker, self._load_beside, lambda: self.settings.max_slowdown
        )
        if self.settings.tune:
            self._tuner = Tuner(self, lambda: self.settings, lambda: self._worker, self._models.swap)
        if self.settings.shadow_model:
            self._shadow = ShadowWorker(self._load_shadow, self._deliver_shadow)

    def start(self) -> None:
        for camera in self._cameras.values():
            camera.subscribe(self._on_image, self._on_local_frame, self.settings.image_reliability)

    def stop(self) -> None:
        for camera in self._cameras.values():
            camera.unsubscribe()

    def close(self) -> None:
        if self._tuner is not None:
            self._tuner.close()
        if self._models is not None:
            self._models.close()
        if self._shadow is not None:
            self._shadow.close()
        if self._worker is not None:
            self._worker.close()
        for camera in self._cameras.values():
            camera.close()
        if self._class_info is not None:
            self._class_info.close()
        self._worker, self._models, self._tuner, self._shadow = None, None, None, None
        self._cameras, self._class_info = {}, None

    def apply(self, old: DetectorNodeSettings, new: DetectorNodeSettings) -> None:
        if self._worker is not None and self._worker.detector is not None:
            self._worker.detector.update(new)
            self._publish_class_info(self._worker.detector, new)

    def _publish_class_info(self, detector: Detector, settings: DetectorNodeSettings) -> None:
        if self._class_info is not None:
            self._class_info.publish(detector, settings)

    # In the detection thread.

    def _load(self, progress: Progress) -> Detector:
        with forward_logs_to(self.get_logger()):
            return open_tuned(self.settings, progress)

    def _load_beside(self, progress: Progress) -> Detector:
        with forward_logs_to(self.get_logger()):
            return open_beside(self.settings, progress)

    def _load_shadow(self, progress: Progress) -> Detector:
        # One thread, so that all inference has the shadow's priority. The labels are those in its own file.
        own = {"model": self.settings.shadow_model, "labels": "", "threads": 1, "max_batch": 1, "track": False}
        own |= {"classes": (), "class_thresholds": (), "tune": False}
        with forward_logs_to(self.get_logger()):
            return open_beside(self.settings.changed(**own), progress)

    def _deliver_shadow(self, job: DetectionJob, detections: Detections) -> None:
        if (camera := self._cameras.get(job.source)) is not None:
            camera.publish_shadow(job.tag, detections, self.settings.class_id_format)

    def _on_load_error(self, error: EdgecamError) -> None:
        self.get_logger().error(str(error))

    def _loaded(self, detector: Detector) -> None:
        try:
            detector.update(self.settings)  # parameters may have changed while the model was loading
        except SettingError as error:  # could not be checked before; the model keeps the settings it was loaded with
            self.get_logger().error(str(error))
        self._publish_class_info(detector, self.settings)
        for warning in detector.warnings:
            self.get_logger().warning(warning)
        self.get_logger().info(f"{detector.model.path.name}: {detector.family.name} on {detector.runner.description}")
        for backend, why in detector.runner.rejected.items():
            self.get_logger().info(f"back end {backend} is not used: {why}")

    def _deliver(self, job: DetectionJob, detections: Detections) -> None:
        self._cameras[job.source].publish(job.frame, job.tag, detections, self.settings.class_id_format)
        self._latency.add(time.monotonic(), self._age(job.frame.stamp_ns))
        if self._shadow is not None:
            self._shadow.offer(job, detections)

    # In the executor's thread.

    def _on_image(self, camera: str, message: Image) -> None:
        worker = self._worker
        if worker is None:
            return
        TRACER.reached("detector.received", ns_from_stamp(message.header.stamp))
        self._receive.add(time.monotonic(), self._age(ns_from_stamp(message.header.stamp)))
        try:
            frame = image_from_ros(message)
        except EdgecamError as error:
            worker.errors.add(str(error))
            return
        worker.put(DetectionJob(camera, frame, message.header))

    def _on_local_frame(self, camera: str, frame: Frame) -> None:
        """Take a frame from a camera in this process; called on the camera's thread."""
        worker = self._worker  # close() may run meanwhile, on the executor's thread
        if worker is not None:
            TRACER.reached("detector.received", frame.stamp_ns)
            self._receive.add(time.monotonic(), self._age(frame.stamp_ns))
            worker.put(DetectionJob(camera, frame, header_to_ros(frame.stamp_ns, frame.frame_id)))

    def _age(self, stamp_ns: int) -> float:
        """Seconds since the capture of a frame, by the node's clock."""
        return float(self.get_clock().now().nanoseconds - stamp_ns) / 1e9

    def report(self) -> Status:
        worker = self._worker
        if worker is None:
            return Status(WARN, "closing")
        counts = {**worker.drops.totals(), **worker.errors.totals()}
        if worker.problem is not None:
            return Status(ERROR, str(worker.problem), counts)
        if worker.detector is None:
            return Status(WARN, worker.progress, counts)
        problems = list(worker.detector.warnings)
        if errors := worker.errors.take():
            self.get_logger().warning(errors)
            problems.append(errors)
        if self._shadow is not None and self._shadow.problem is not None:
            problems.append(f"shadow model: {self._shadow.problem}")
        now = time.monotonic()
        for name, camera in self._cameras.items():
            if name not in worker.sources or worker.sources[name].rate(now) == 0:
                problems.append(f"no frames on {camera.image_topic_of()}")
        return Status(WARN if problems else OK, "; ".join(problems) or "running", self._values(worker, worker.detector))

    def _values(self, worker: DetectionWorker, detector: Detector) -> dict[str, object]:
        now = time.monotonic()
        values: dict[str, object] = {
            "model": str(detector.model.path),
            "backend": detector.runner.description,
            "model_sha256": detector.model.sha256[:12],
            "model_swaps": self._models.swap.count if self._models else 0,
            "model_state": (self._models.swap.state if self._models else "") or "as started",
            "receive_ms": 1e3 * self._receive.percentile(now, 50),
        }
        for stage, meter in worker.meters.items():
            values[f"{stage}_ms"] = 1e3 * meter.percentile(now, 50)
        values["latency_ms"] = 1e3 * self._latency.percentile(now, 50)
        values["latency_p99_ms"] = 1e3 * self._latency.percentile(now, 99)
        values["fps_in"] = self._receive.rate(now)
        for camera, meter in worker.sources.items():
            values[f"{camera}/fps" if camera else "fps"] = meter.rate(now)
        if self._shadow is not None:
            values["shadow_fps"] = self._shadow.meter.rate(now)
            values |= {f"shadow_agreement/{label}": text for label, text in self._shadow.agreement().items()}
            values |= self._shadow.counters.totals()
        return {**values, **worker.drops.totals(), **worker.errors.totals()}


def main(args: list[str] | None = None) -> int:
    return run(DetectorNode, args)


if __name__ == "__main__":
    sys.exit(main())
