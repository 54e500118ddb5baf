"""The hot swap: deploys a model while the pipeline runs, and measures the effect on a subscriber."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rclpy
from edgecam_ros.conversions import ns_from_stamp
from edgecam_ros.qos import latched_qos
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection2DArray, LabelInfo

from examples.improve_animals.pipeline import wait_for

TRIES = 5  # a busy machine can make the new model look slow
BEFORE, AFTER = 20.0, 40.0  # seconds of detections without and with the new model


@dataclass
class Received:
    """Arrival (monotonic seconds), stamp (nanoseconds) and labels of every array; names of each ``label_info``."""

    arrays: list[tuple[float, int, frozenset[str]]] = field(default_factory=list)
    known: list[frozenset[str]] = field(default_factory=list)

    def array(self, message: Detection2DArray) -> None:
        labels = frozenset(one.results[0].hypothesis.class_id for one in message.detections)
        self.arrays.append((time.monotonic(), ns_from_stamp(message.header.stamp), labels))

    def labels(self, message: LabelInfo) -> None:
        self.known.append(frozenset(one.class_name for one in message.class_map))


def swap(deploy: Callable[[], None], new: frozenset[str], log: Path) -> dict[str, Any]:
    """Deploy and load the new model while the pipeline runs.

    Args:
        deploy: makes the new version the current one in the store.
        new: the labels that only the new model has.

    Returns:
        whether it took over, and the responses of the service; seconds from deployment to takeover; frames lost and the
        longest gap between two arrays (ms), before and at the swap; arrays with a new label before and after it.
    """
    rclpy.init()
    node, received = Node("improve_animals"), Received()
    node.create_subscription(Detection2DArray, "/camera/detections", received.array, 50)
    node.create_subscription(LabelInfo, "/camera/label_info", received.labels, latched_qos())
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def until(condition: Callable[[], object], seconds: float, what: str) -> None:
        def spun() -> object:
            end = time.monotonic() + 0.2
            while time.monotonic() < end:
                executor.spin_once(timeout_sec=0.05)
            return condition()

        wait_for(spun, seconds, what, log)

    try:
        until(lambda: received.arrays and received.known, 120, "detections")
        started = time.monotonic()
        until(lambda: time.monotonic() > started + BEFORE, BEFORE + 60, "the time before the swap")
        client: Any = node.create_client(Trigger, "/camera/detector/load_model")
        deployed = time.monotonic()
        deploy()  # the detector follows the store; ~/load_model reports the result, and retries
        responses: list[str] = []
        while len(responses) < TRIES and not (responses and responses[-1].endswith("took over")):
            response = client.call_async(Trigger.Request())
            until(response.done, 180, "the response of ~/load_model")
            if response.result().message.startswith("another model"):  # the detector is already loading the new model
                until(lambda: True, 1, "a moment")
            else:
                responses.append(response.result().message)
        if not responses[-1].endswith("took over"):
            return {"took_over": False, "answers": responses}
        until(lambda: new <= received.known[-1], 60, "label_info of the new model")
        taken_over = time.monotonic()
        until(lambda: time.monotonic() > taken_over + AFTER, AFTER + 60, "the time after the swap")
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return {
        "took_over": True,
        "answers": responses,
        "takeover_s": round(taken_over - deployed, 1),
        **_gaps(received, deployed, taken_over),
        "arrays_before": sum(at < deployed for at, _, _ in received.arrays),
        "arrays_after": sum(at >= taken_over for at, _, _ in received.arrays),
        "arrays_with_new_label_before": sum(bool(found & new) for at, _, found in received.arrays if at < deployed),
        "arrays_with_new_label_after": sum(bool(found & new) for at, _, found in received.arrays if at >= taken_over),
    }


def _gaps(received: Received, deployed: float, taken_over: float) -> dict[str, Any]:
    """The longest gap between the stamps of two arrays (a restart of the clip is not a gap)."""
    steps = [
        (later[0], (later[1] - earlier[1]) / 1e6)
        for earlier, later in itertools.pairwise(received.arrays)
        if 0 < later[1] - earlier[1] < 10e9
    ]
    before = [step for at, step in steps if at < deployed]
    during = [step for at, step in steps if deployed <= at < taken_over + 2]
    # A busy machine loses frames before the swap too; some consecutive ones arrive.
    period = sorted(before)[len(before) // 10] if before else float("nan")
    return {
        "longest_gap_before_ms": round(max(before, default=float("nan"))),
        "longest_gap_at_swap_ms": round(max(during, default=float("nan"))),
        "frames_lost_before": sum(max(0, round(step / period) - 1) for step in before),
        "frames_lost_at_swap": sum(max(0, round(step / period) - 1) for step in during),
    }
