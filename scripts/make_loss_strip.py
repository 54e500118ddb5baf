#!/usr/bin/env python3
"""Creates docs/images/loss.jpg: the frames of two receivers at 5 % packet loss.

The demo's clip is sent twice at the same time, by a bare GStreamer pipeline and by edgecam's sender, each through a
relay that drops packets at random. At the same moments the newest frame of each receiver is kept unchanged.
Needs what `make setup` installs:

    source install/setup.bash && python3 scripts/make_loss_strip.py
"""

from __future__ import annotations

import argparse
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from edgecam_core.rtp.relay import Conditions, Relay  # noqa: E402

from benchmarks.peers import rtp_receive, rtp_send  # noqa: E402

FPS, WARM_UP, EVERY, COLUMNS = 25, 3.0, 1.3, 5
WIDTH, HEIGHT = 640, 480
KINDS = {"bare": "GStreamer: udpsrc ! rtpjitterbuffer ! avdec_h265", "ours": "edgecam: rtp_receiver"}


class Shown:
    """The newest frame of one receiver, read in its own thread."""

    def __init__(self, read: rtp_receive.Read) -> None:
        self._read, self._ending = read, threading.Event()
        self.frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ending.is_set():
            if (got := self._read()) is not None:
                self.frame = got[0]

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clip() -> list[np.ndarray]:
    """All frames of the demo's clip, (H, W, 3) uint8 BGR."""
    video, frames = cv2.VideoCapture(str(ROOT / "media" / "animals.mp4")), []
    while (got := video.read())[0]:
        frames.append(got[1])
    return frames


def record(loss: float) -> dict[str, list[np.ndarray]]:
    """Frames of each receiver, oldest first; blocks for ten seconds."""
    frames = clip()
    with ExitStack() as stack:
        sends: list[Callable[[np.ndarray, int, int], None]] = []
        shown: dict[str, Shown] = {}
        for kind in KINDS:
            port = free_port()
            read, stop_receiver = getattr(rtp_receive, kind)(port, {})
            stack.callback(stop_receiver)
            relay = stack.enter_context(Relay(("127.0.0.1", port), conditions=Conditions(loss=loss, return_loss=loss)))
            send, _, stop_sender = getattr(rtp_send, kind)(relay.port, WIDTH, HEIGHT, {})
            stack.callback(stop_sender)
            sends.append(send)
            shown[kind] = Shown(read)
            stack.callback(shown[kind].stop)
        kept: dict[str, list[np.ndarray]] = {kind: [] for kind in KINDS}
        begin = time.monotonic()
        for number in range(int(FPS * (WARM_UP + EVERY * COLUMNS))):
            time.sleep(max(0.0, begin + number / FPS - time.monotonic()))
            for send in sends:
                send(frames[number % len(frames)], number, time.time_ns())
            if number >= FPS * WARM_UP and (number - int(FPS * WARM_UP)) % int(FPS * EVERY) == int(FPS * EVERY) - 1:
                for kind, one in shown.items():
                    kept[kind].append(one.frame.copy())
        return kept


def strip(kept: dict[str, list[np.ndarray]], loss: float) -> np.ndarray:
    """Two rows of frames with their titles, (H, W, 3) uint8 BGR."""
    rows = []
    for kind, frames in kept.items():
        small = [cv2.resize(frame, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA) for frame in frames]
        row = np.hstack([np.pad(frame, ((0, 0), (0, 6), (0, 0)), constant_values=255) for frame in small])
        title = np.full((34, row.shape[1], 3), 255, np.uint8)
        text = f"{KINDS[kind]}, {100 * loss:g} % of the packets lost"
        cv2.putText(title, text, (4, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (60, 60, 60), 1, cv2.LINE_AA)
        rows += [title, row]
    return np.vstack(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loss", type=float, default=0.05, help="share of the packets that are dropped")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "loss.jpg")
    args = parser.parse_args()
    cv2.imwrite(str(args.output), strip(record(args.loss), args.loss), [cv2.IMWRITE_JPEG_QUALITY, 85])
    return 0


if __name__ == "__main__":
    sys.exit(main())
