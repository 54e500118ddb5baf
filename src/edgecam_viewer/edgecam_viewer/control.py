"""What the page may ask of the pipeline, done with ROS: the detectors' thresholds, nothing else."""

from __future__ import annotations

import functools
import math
import queue
from collections.abc import Callable
from typing import Any

from edgecam_core.errors import EdgecamError
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future

THRESHOLD = "confidence_threshold"
WAITING = 64  # requests that may wait for the executor; more are refused
Answer = Callable[[dict[str, Any]], None]


def checked_threshold(request: dict[str, Any], cameras: int) -> tuple[int, float]:
    """Camera and value of a ``{"type": "threshold", "camera": 0, "value": 0.4}`` request.

    Raises:
        EdgecamError: it is not one, or the camera does not exist.
    """
    camera, value = request.get("camera"), request.get("value")
    if type(camera) is not int or not 0 <= camera < cameras:
        raise EdgecamError(f"there is no camera {str(camera)[:20]}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and 0 <= value <= 1):
        raise EdgecamError("a threshold is a number from 0 to 1")
    return camera, float(value)


def _outcome(future: Future) -> Any:
    return future.result()


class RosControl:
    """``ask`` is called by the web server's thread; everything else runs on the executor's.

    ``detectors`` holds one node name per camera, relative to the viewer's namespace; '' for none.
    ``thresholds`` is what each detector last said, None while unknown.
    """

    def __init__(self, node: Node, detectors: list[str]) -> None:
        self._node = node
        self._detectors = detectors
        self._requests: queue.Queue[tuple[int, float, Answer]] = queue.Queue(WAITING)
        self._clients: dict[tuple[int, type], Client] = {}
        self.thresholds: list[float | None] = [None] * len(detectors)

    def ask(self, request: dict[str, Any], answer: Answer) -> None:
        if request["type"] != "threshold":
            raise EdgecamError(f"{request['type'][:40]!r} is not on offer")
        camera, value = checked_threshold(request, len(self._detectors))
        if not self._detectors[camera]:
            raise EdgecamError("this camera has no detector (parameter 'detector_nodes')")
        try:
            self._requests.put_nowait((camera, value, answer))
        except queue.Full:
            raise EdgecamError("too many requests at once") from None

    def work(self) -> None:
        """Send what viewers have asked for; called a few times a second. Does not block."""
        newest: dict[int, tuple[float, Answer]] = {}
        while not self._requests.empty():
            camera, value, answer = self._requests.get_nowait()
            newest[camera] = (value, answer)  # of a moving slider only the last position counts
        for camera, (value, answer) in newest.items():
            self._set(camera, value, answer)

    def refresh(self) -> None:
        """Ask every detector for its threshold; the answers come later. Does not block."""
        for camera, detector in enumerate(self._detectors):
            client = self._client(camera, GetParameters, "get_parameters") if detector else None
            if client is not None and client.service_is_ready():
                future = client.call_async(GetParameters.Request(names=[THRESHOLD]))
                future.add_done_callback(functools.partial(self._got, camera))
            else:
                self.thresholds[camera] = None

    def close(self) -> None:
        for client in self._clients.values():
            self._node.destroy_client(client)
        self._clients.clear()

    def _set(self, camera: int, value: float, answer: Answer) -> None:
        client = self._client(camera, SetParameters, "set_parameters")
        if not client.service_is_ready():
            name = self._detectors[camera]
            answer({"camera": camera, "ok": False, "text": f"detector node {name!r} is not running"})
            return
        wanted = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
        request = SetParameters.Request(parameters=[Parameter(name=THRESHOLD, value=wanted)])
        client.call_async(request).add_done_callback(functools.partial(self._was_set, camera, value, answer))

    def _was_set(self, camera: int, value: float, answer: Answer, future: Future) -> None:
        result = _outcome(future).results[0]
        if result.successful:
            self.thresholds[camera] = value
        answer({"camera": camera, "ok": result.successful, "value": value, "text": result.reason})

    def _got(self, camera: int, future: Future) -> None:
        values = _outcome(future).values
        known = values and values[0].type == ParameterType.PARAMETER_DOUBLE
        self.thresholds[camera] = values[0].double_value if known else None

    def _client(self, camera: int, service: type, name: str) -> Client:
        key = (camera, service)
        if key not in self._clients:
            self._clients[key] = self._node.create_client(service, f"{self._detectors[camera]}/{name}")
        return self._clients[key]
