"""The CPU time of a frame in each stage: ``python3 -m benchmarks.costs`` adds it to the published results.

CPU time depends much less on other load than latency does. Sender and receiver run in separate processes, the detector
in this one, without ROS, in the way that the node selects by default (``backend: auto``, ``precision: auto``); the
value of the camera is that of its published row. benchmarks/scale.py uses the result.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack

import cv2
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.opening import open_tuned
from edgecam_core.models.plan import Plan
from edgecam_core.models.tuning import stored_choice, tune

from benchmarks import machine, rtp
from benchmarks.store import PUBLISHED, ROOT, Store
from tests.support.network import free_udp_port

SIZE, COUNT, WARM_UP = (640, 480), 60, 5


def link() -> dict[str, float]:
    """Milliseconds of CPU time per frame, of the sender and of the receiver; blocks for some seconds."""
    port = free_udp_port()
    with ExitStack() as stack:
        receiving = rtp.receiver(stack, "ours", port, False, {})
        sending = rtp.sender(stack, "ours", port, SIZE, rtp.COUNT, {})
        sent, received = rtp.outcome(sending, receiving)
    arrived = len({number for number, *_ in received["seen"]})
    return {"sender": 1000 * sent["cpu_s"] / sent["coded"], "receiver": 1000 * received["cpu_s"] / arrived}


def detector() -> tuple[float, str]:
    """Milliseconds of CPU time per frame of the default model, over all threads, and how it ran."""
    settings = DetectorSettings()
    if stored_choice(Plan.read(settings), settings) is None:
        tune(settings)
    found = open_tuned(settings)
    photo = cv2.imread(str(ROOT / "tests" / "assets" / "photos" / "horse.jpg"))
    assert photo is not None
    image = cv2.resize(photo, SIZE)
    for _ in range(WARM_UP):
        found.detect(image)
    begin = time.process_time()
    for _ in range(COUNT):
        found.detect(image)
    return 1000 * (time.process_time() - begin) / COUNT, found.runner.description


def main() -> int:
    store, load = Store.open(PUBLISHED), machine.busy()
    inference, how = detector()
    costs = {"camera": store.rows["camera_cpu_640x480"].ours or 0.0, **link(), "detector": inference}
    store.machines[machine.name()] = machine.facts()
    store.tables["frame_costs"] = {
        "columns": ["stage", "CPU time per frame, ms"],
        "rows": [[stage, f"{cost:.1f}"] for stage, cost in costs.items()],
        "note": (
            f"640x480, H.265 by x265 at 2 Mbit/s, default model ({how}). Copies between nodes are not included. "
            f"{100 * load:.0f} % of the machine was busy with other work"
        ),
        "machine": machine.name(),
        "date": machine.today(),
    }
    store.save()
    print("\n".join(f"{stage:10} {cost:6.1f} ms per frame" for stage, cost in costs.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
