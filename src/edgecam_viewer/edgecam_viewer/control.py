"""What the page may ask of the pipeline, done with ROS: thresholds, snapshots and recordings, nothing else."""

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
from std_srvs.srv import SetBool, Trigger

THRESHOLD = "confidence_threshold"
WAITING = 64  # requests that may wait for the executor; more are refused
Answer = Callable[[dict[str, Any]], None]
Value = float | bool | None


def _threshold(request: dict[str, Any]) -> float:
    value = request.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and 0 <= value <= 1):
        raise EdgecamError("a threshold is a number from 0 to 1")
    return float(value)


def _switch(request: dict[str, Any]) -> bool:
    if not isinstance(request.get("value"), bool):
        raise EdgecamError("recording is switched by true or false")
    return bool(request["value"])


# Everything on offer: the request's type, and how its value is read.
OFFERS: dict[str, Callable[[dict[str, Any]], Value]] = {
    "threshold": _threshold,
    "record": _switch,
    "snapshot": lambda _request: None,
}


def checked(request: dict[str, Any], cameras: int) -> tuple[str, int, Value]:
    """Type, camera and value of a request such as ``{"type": "threshold", "camera": 0, "value": 0.4}``.

    Raises:
        EdgecamError: it is not on offer, the camera does not exist, or the value cannot be.
    """
    kind, camera = request["type"], request.get("camera")
    if kind not in OFFERS:
        raise EdgecamError(f"{kind[:40]!r} is not on offer")
    if type(camera) is not int or not 0 <= camera < cameras:
        raise EdgecamError(f"there is no camera {str(camera)[:20]}")
    return kind, camera, OFFERS[kind](request)


class RosControl:
    """``ask`` is called by the web server's thread; everything else runs on the executor's.

    ``detectors`` and ``drivers`` hold one node name per camera, relative to the viewer's namespace; '' for none.
    ``thresholds`` is what each detector last said, None while unknown; ``saving`` whether a camera's node can save
    frames.
    """

    def __init__(self, node: Node, detectors: list[str], drivers: list[str]) -> None:
        self._node = node
        self._nodes = {"threshold": detectors, "record": drivers, "snapshot": drivers}
        self._requests: queue.Queue[tuple[str, int, Value, Answer]] = queue.Queue(WAITING)
        self._clients: dict[tuple[str, str], Client] = {}
        self.thresholds: list[float | None] = [None] * len(detectors)
        self.saving = [False] * len(detectors)

    def ask(self, request: dict[str, Any], answer: Answer) -> None:
        kind, camera, value = checked(request, len(self.saving))
        if not self._nodes[kind][camera]:
            raise EdgecamError("this camera has no such node (parameters 'detector_nodes', 'camera_nodes')")
        try:
            self._requests.put_nowait((kind, camera, value, answer))
        except queue.Full:
            raise EdgecamError("too many requests at once") from None

    def work(self) -> None:
        """Send what viewers have asked for; called a few times a second. Does not block."""
        newest: dict[tuple[str, int], tuple[Value, Answer]] = {}
        while not self._requests.empty():
            kind, camera, value, answer = self._requests.get_nowait()
            newest[kind, camera] = (value, answer)  # of a moving slider only the last position counts
        for (kind, camera), (value, answer) in newest.items():
            self._send(kind, camera, value, answer)

    def refresh(self) -> None:
        """Look which services are there and ask every detector for its threshold. Does not block."""
        for camera, driver in enumerate(self._nodes["record"]):
            self.saving[camera] = bool(driver) and self._client(driver, "record", SetBool).service_is_ready()
        for camera, detector in enumerate(self._nodes["threshold"]):
            client = self._client(detector, "get_parameters", GetParameters) if detector else None
            if client is None or not client.service_is_ready():
                self.thresholds[camera] = None
                continue
            future = client.call_async(GetParameters.Request(names=[THRESHOLD]))
            future.add_done_callback(functools.partial(self._got, camera))

    def close(self) -> None:
        for client in self._clients.values():
            self._node.destroy_client(client)
        self._clients.clear()

    def _send(self, kind: str, camera: int, value: Value, answer: Answer) -> None:
        name = self._nodes[kind][camera]
        client, request = self._call(kind, name, value)
        if not client.service_is_ready():
            answer({"camera": camera, "ok": False, "text": f"node {name!r} is not running or cannot do this"})
            return

        def done(response: Any) -> None:
            result = response.results[0] if kind == "threshold" else response
            good = bool(result.successful if kind == "threshold" else result.success)
            text = str(result.reason if kind == "threshold" else result.message)
            if kind == "threshold" and good:
                self.thresholds[camera] = value
            answer({"camera": camera, "ok": good, "value": value, "text": text})

        client.call_async(request).add_done_callback(lambda future: done(future.result()))

    def _call(self, kind: str, name: str, value: Value) -> tuple[Client, Any]:
        """The client and the request that do it."""
        if kind == "record":
            return self._client(name, "record", SetBool), SetBool.Request(data=bool(value))
        if kind == "snapshot":
            return self._client(name, "snapshot", Trigger), Trigger.Request()
        wanted = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
        request = SetParameters.Request(parameters=[Parameter(name=THRESHOLD, value=wanted)])
        return self._client(name, "set_parameters", SetParameters), request

    def _got(self, camera: int, future: Any) -> None:
        values = future.result().values
        known = values and values[0].type == ParameterType.PARAMETER_DOUBLE
        self.thresholds[camera] = values[0].double_value if known else None

    def _client(self, node: str, name: str, service: type) -> Client:
        key = (node, name)
        if key not in self._clients:
            self._clients[key] = self._node.create_client(service, f"{node}/{name}")
        return self._clients[key]
