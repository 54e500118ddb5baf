"""Sends COUNT numbered frames at 30 Hz: ``rtp_send KIND PORT WIDTH HEIGHT COUNT [setting=value ...]``.

KIND is ``ours`` or ``bare``, the plain GStreamer pipeline with the same encoder settings. Prints when each frame was
handed over (monotonic nanoseconds), how many were encoded and the CPU time used.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from edgecam_core.media import gst
from edgecam_core.media.encoders import ENCODERS, EncoderRequest
from edgecam_core.rtp.sender import Sender
from edgecam_core.rtp.settings import SenderSettings
from edgecam_core.types import Frame

from benchmarks.peers.rtp_frames import frame

BITRATE = {480: 2_000_000, 720: 4_000_000, 1080: 6_000_000}
MOST_PREPARED = 300  # up to this count, all frames are generated before sending begins
FRAME_NS = 33_333_333
Send = Callable[[np.ndarray, int, int], None]


End = tuple[Send, list[int], Callable[[], None]]  # send, times at which frames were encoded, stop


def ours(port: int, width: int, height: int, values: dict[str, Any]) -> End:
    sender = Sender(SenderSettings(port=port, **{"bitrate": BITRATE.get(height, 2_000_000), **values}))
    coded: list[int] = []
    sender.on_coded = lambda _nals, _stamp, _frame: coded.append(time.monotonic_ns())
    sender.start()

    def send(bgr: np.ndarray, number: int, now_ns: int) -> None:
        sender.send(Frame.from_array(bgr, "bgr8", now_ns, "camera"))

    return send, coded, sender.stop


def bare(port: int, width: int, height: int, values: dict[str, Any]) -> End:
    row = next(row for row in ENCODERS if row.element == "x265enc")
    request = EncoderRequest(values.get("bitrate") or BITRATE[height], 30, width=width, height=height, framerate=30)
    pipeline = gst.Pipeline(
        "appsrc name=src is-live=true format=time "
        f"caps=video/x-raw,format=BGR,width={width},height={height},framerate=30/1 ! videoconvert ! "
        f"video/x-raw,format=I420 ! {row.text(request)} ! h265parse name=parse ! "
        f"rtph265pay config-interval=-1 mtu=1400 ! udpsink host=127.0.0.1 port={port} sync=false async=false"
    )
    coded: list[int] = []

    def count(_buffer: Any) -> bool:
        coded.append(time.monotonic_ns())
        return True

    pipeline.on_buffer("parse", "src", count)
    pipeline.start()

    def send(bgr: np.ndarray, number: int, now_ns: int) -> None:
        pipeline.push(pipeline.new_buffer(bgr, number * FRAME_NS, FRAME_NS))

    return send, coded, pipeline.stop


def main() -> None:
    kind, *numbers = sys.argv[1:6]
    port, width, height, count = map(int, numbers)
    values = {name: json.loads(value) for name, _, value in (text.partition("=") for text in sys.argv[6:])}
    frames = [frame(number, width, height) for number in range(MOST_PREPARED)] if count <= MOST_PREPARED else []
    frame(0, width, height)
    send, coded, stop = {"ours": ours, "bare": bare}[kind](port, width, height, values)
    print("ready", flush=True)
    sent = []
    before = resource.getrusage(resource.RUSAGE_SELF)
    begin = time.monotonic_ns()
    for number in range(count):
        time.sleep(max(0.0, (begin + number * FRAME_NS - time.monotonic_ns()) / 1e9))
        now_ns = time.monotonic_ns()
        sent.append(now_ns)
        send(frames[number] if frames else frame(number, width, height), number, now_ns)
    time.sleep(0.7)  # for the receiver's last requests
    after = resource.getrusage(resource.RUSAGE_SELF)
    frames_coded = list(coded)
    stop()
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"sent": sent, "cpu_s": used, "coded": len(frames_coded), "coded_at": frames_coded}), flush=True)


if __name__ == "__main__":
    main()
