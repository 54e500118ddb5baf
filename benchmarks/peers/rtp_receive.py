"""Receives numbered frames until stdin closes: ``rtp_receive KIND PORT WITH_PSNR [setting=value ...]``.

Prints number, arrival (monotonic nanoseconds), stamp and, if WITH_PSNR is 1, the PSNR of every frame, and the CPU time
used while receiving.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from edgecam_core.media import gst
from edgecam_core.rtp.receiver import Receiver
from edgecam_core.rtp.settings import ReceiverSettings

from benchmarks.peers.rtp_frames import number_of, psnr

CAPS = "application/x-rtp,media=video,clock-rate=90000,encoding-name=H265,payload=96"
Read = Callable[[], tuple[np.ndarray, int] | None]


def ours(port: int, values: dict[str, Any]) -> tuple[Read, Callable[[], None]]:
    receiver = Receiver(ReceiverSettings(port=port, **values))
    receiver.start()

    def read() -> tuple[np.ndarray, int] | None:
        frame = receiver.read(0.1)
        return None if frame is None else (frame.bgr(), frame.stamp_ns)

    return read, receiver.stop


def bare(port: int, values: dict[str, Any]) -> tuple[Read, Callable[[], None]]:
    pipeline = gst.Pipeline(
        f"udpsrc port={port} buffer-size=4000000 caps={CAPS} ! rtpjitterbuffer latency={values.get('latency', 60)} ! "
        "rtph265depay ! h265parse ! avdec_h265 thread-type=slice ! videoconvert ! video/x-raw,format=BGR ! "
        "appsink name=sink sync=false async=false max-buffers=4 drop=true"
    )
    pipeline.start()

    def read() -> tuple[np.ndarray, int] | None:
        sample = pipeline.pull(0.1)
        if sample is None:
            return None
        with sample:
            return sample.data.reshape(sample.height, sample.width, 3).copy(), time.monotonic_ns()

    return read, pipeline.stop


def _wait_for_the_end(ending: threading.Event) -> None:
    sys.stdin.read()
    ending.set()


def main() -> None:
    kind, port, with_psnr = sys.argv[1:4]
    values = {name: json.loads(value) for name, _, value in (text.partition("=") for text in sys.argv[4:])}
    read, stop = {"ours": ours, "bare": bare}[kind](int(port), values)
    ending = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(ending,), daemon=True).start()
    print("ready", flush=True)
    seen = []
    before = resource.getrusage(resource.RUSAGE_SELF)
    while not ending.is_set():
        got = read()
        if got is None:
            continue
        now_ns = time.monotonic_ns()
        number = number_of(got[0])
        quality = psnr(got[0], number) if with_psnr == "1" else 0.0
        seen.append([number, now_ns, got[1], quality])
    after = resource.getrusage(resource.RUSAGE_SELF)
    stop()
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"seen": seen, "cpu_s": used}), flush=True)


if __name__ == "__main__":
    main()
