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

"""Receive an RTP stream like rtp_receiver: show it if there is a display, and print its state once a second.

    edgecam receive rtp://@:5000
    edgecam receive rtp://239.1.2.3:5000 --codec h264
    edgecam receive stream.sdp --snapshot last.jpg --seconds 10

Exit code 1 if no frame arrived.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from edgecam_core.cli._settings import add_settings, settings_from
from edgecam_core.errors import SettingError
from edgecam_core.rtp.settings import ReceiverSettings

if TYPE_CHECKING:
    from edgecam_core.rtp.receiver_stats import ReceiverStats
    from edgecam_core.types import Frame


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stream", help="rtp://@:PORT, rtp://ADDRESS:PORT (local or multicast) or an SDP file")
    parser.add_argument("--seconds", type=float, default=0.0, help="stop after this time; 0: run until Ctrl-C")
    parser.add_argument("--snapshot", metavar="FILE", help="save the last frame when stopping")
    parser.add_argument("--no-window", action="store_true", help="do not open a window")
    kept = [name for name in ReceiverSettings.specs() if name not in ("host", "port", "sdp_file", "frame_id")]
    add_settings(parser, ReceiverSettings, kept)


def stream_settings(text: str) -> dict[str, object]:
    """The settings for the argument STREAM: host and port, or the SDP file.

    Raises:
        SettingError: the argument is neither.
    """
    scheme, separator, _ = text.partition("://")
    if separator and scheme != "rtp":
        raise SettingError("stream", text, "must be rtp://@:PORT, rtp://ADDRESS:PORT or an SDP file")
    if not separator:
        return {"sdp_file": text}
    parts = urlsplit(text)
    try:
        port = parts.port or 5000
    except ValueError:
        port = 0
    if not port or parts.path.strip("/"):
        raise SettingError("stream", text, "must be rtp://@:PORT, rtp://ADDRESS:PORT or an SDP file")
    return {"port": port, **({"host": parts.hostname} if parts.hostname else {})}


def waits_for(args: argparse.Namespace) -> str:
    stream_settings(args.stream)
    return f"listening on {args.stream}"


def run(args: argparse.Namespace) -> int:
    settings = settings_from(args, ReceiverSettings).changed(**stream_settings(args.stream))
    return play(settings, args.seconds, args.snapshot, not args.no_window)


def play(
    settings: ReceiverSettings, seconds: float = 0.0, snapshot: str | None = None, with_window: bool = True
) -> int:
    """Receive for ``seconds`` (0: until Ctrl-C); show a window if there is a display. Returns the exit code."""
    import cv2

    from edgecam_core.camera import window
    from edgecam_core.media import gst
    from edgecam_core.rtp.receiver import Receiver

    shown = None
    if with_window and window.has_display(os.environ):
        shown = window.TopicWindow(window.pick_sink(gst.can_open, os.environ).element)
    receiver = Receiver(settings)
    receiver.start()
    newest: Frame | None = None
    begin = printed = time.monotonic()
    try:
        while not seconds or time.monotonic() - begin < seconds:
            frame = receiver.read(0.2)
            if frame is not None:
                newest = frame
            if shown is not None:
                if frame is not None:
                    shown.show(frame)
                if any(message.kind == "error" for message in shown.pipeline.messages()):
                    break  # the user has closed the window
            if time.monotonic() - printed >= 1.0:
                printed = time.monotonic()
                print(line(receiver.stats(), newest), flush=True)
    except KeyboardInterrupt:
        pass
    finally:
        print(line(receiver.stats(), newest), flush=True)
        receiver.stop()
        if shown is not None:
            shown.close()
    if newest is not None and snapshot and not cv2.imwrite(snapshot, newest.bgr()):
        raise SettingError("snapshot", snapshot, "cannot be written; the name must end in .jpg or .png")
    return 0 if newest is not None else 1


def line(stats: ReceiverStats, newest: Frame | None) -> str:
    """One line with the state of the stream."""
    if newest is None:
        return f"{stats.problem or stats.state}; {stats.packets} packets, no frame yet" + _errors(stats)
    size = f"{newest.width}x{newest.height}"
    age = (time.time_ns() - newest.stamp_ns) / 1e6
    return (
        f"{stats.problem or stats.state}: {size} {stats.fps:.1f} frames/s {stats.bitrate / 1e6:.2f} Mbit/s, "
        f"newest {age:.0f} ms old (time by {stats.stamp_source}), {stats.missing} packets missing, "
        f"{stats.recovered} repaired, {stats.lost} lost, jitter {stats.jitter_ms:.1f} ms" + _errors(stats)
    )


def _errors(stats: ReceiverStats) -> str:
    return "".join(f"; {count} x {what}" for what, count in stats.errors.items())
