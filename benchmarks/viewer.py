"""The effect of viewers on the pipeline's rate."""

from __future__ import annotations

from functools import partial

from benchmarks.pipeline import run_demo
from benchmarks.row import Row
from benchmarks.support import environment, peer, process
from tests.support.network import free_tcp_port


def rows() -> list[Row]:
    return [
        Row(
            "viewer_ten", "detections per second of the demo with ten viewers", "Hz",
            "the same without viewers", partial(detections, 10), partial(detections, 0),
            better="higher", aim=0.95, label="Detection rate with ten viewers",
        )
    ]  # fmt: skip


def detections(viewers: int) -> float:
    """Mean rate of the detections over one run of the demo."""
    if not viewers:
        return float(run_demo(rtp=True)["fps"]["detector"])
    port = free_tcp_port()
    with process(peer("viewers", port, viewers), environment()) as watching:
        rate = float(run_demo(rtp=True, viewer_port=port)["fps"]["detector"])
        if watching.wait(10) != 0:  # the viewers end with the server; exit code 0 means that frames arrived
            raise RuntimeError(f"the viewers ended with {watching.returncode}: no frames arrived")
    return rate
