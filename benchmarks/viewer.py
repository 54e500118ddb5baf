"""What viewers cost the pipeline."""

from __future__ import annotations

from functools import partial

from benchmarks.pipeline import run_demo
from benchmarks.row import Row
from benchmarks.support import environment, peer, process
from tests.support.network import free_tcp_port


def rows() -> list[Row]:
    return [
        Row(
            "viewer_ten", "detections a second of the demo while ten viewers watch", "Hz",
            "the same while nobody watches", partial(detections, 10), partial(detections, 0),
            better="higher", aim=0.95, label="Detections a second with ten people watching",
        )
    ]  # fmt: skip


def detections(viewers: int) -> float:
    """Mean rate of the detections over one run of the demo."""
    if not viewers:
        return float(run_demo(rtp=True)["fps"]["detector"])
    port = free_tcp_port()
    with process(peer("viewers", port, viewers), environment()) as watching:
        rate = float(run_demo(rtp=True, viewer_port=port)["fps"]["detector"])
        if watching.wait(10) != 0:  # they end with the server, and with 0 only if frames arrived
            raise RuntimeError(f"the viewers ended with {watching.returncode}: no frames arrived")
    return rate
