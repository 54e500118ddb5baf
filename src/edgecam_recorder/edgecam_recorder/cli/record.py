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

"""Record topics to an MCAP file for Foxglove, `ros2 bag play` and `edgecam replay`.

    edgecam record drive.mcap /camera/image_raw/compressed /camera/detections
    edgecam record drive.mcap '/camera/*'
    edgecam record drive --split-seconds 60 --max-megabytes 50000

A name that ends in .mcap is a single file; any other is a folder with split files and metadata.yaml. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from edgecam_core.cli._settings import add_settings, settings_from
from edgecam_core.recording.settings import RecorderSettings
from edgecam_ros.command_node import command_node, stopped_by_signals

_SETTINGS = [name for name in RecorderSettings.specs() if name != "directory"]
_REFRESH_SECONDS = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("output", type=Path, help="file.mcap, or a new folder")
    parser.add_argument("topics", nargs="*", default=["/*"], help="topics; * matches any text (default: all)")
    parser.add_argument("--seconds", type=float, default=0.0, metavar="S", help="end after this time (default: Ctrl-C)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    add_settings(parser, RecorderSettings, _SETTINGS)


def waits_for(args: argparse.Namespace) -> str:
    return "" if args.quiet else f"for messages of {' '.join(args.topics)}"


def run(args: argparse.Namespace) -> int:
    """Record until the end. Returns 0 if there were messages and all of them are stored, else 1."""
    settings = settings_from(args, RecorderSettings)
    with command_node("edgecam_record") as node:
        import rclpy
        from edgecam_core.recording.recorder import Recorder

        from edgecam_recorder.subscriptions import TopicSubscriptions

        recorder = Recorder(settings)
        path = recorder.start(args.output)
        topics = TopicSubscriptions(node, args.topics, recorder.write, _say)
        began = time.monotonic()
        refresh, show = began, began + 1.0
        try:
            with stopped_by_signals() as stopping:
                while recorder.recording and not stopping:
                    now = time.monotonic()
                    if now >= refresh:
                        topics.refresh()
                        refresh = now + _REFRESH_SECONDS
                    if now >= show and not args.quiet:
                        waiting = f"; not published: {', '.join(topics.missing)}" if topics.missing else ""
                        counts = f"{recorder.messages} messages of {len(topics.topics)} topics"
                        _say(f"{counts}, {recorder.megabytes:.1f} MB{waiting}")
                        show = now + 1.0
                    if args.seconds and now - began >= args.seconds:
                        break
                    rclpy.spin_once(node, timeout_sec=0.1)
        finally:
            topics.close()
            recorder.close()
    losses = recorder.counters.take()
    for text in (str(recorder.problem or ""), losses):
        if text:
            print(f"error: {text}", file=sys.stderr)
    print(f"{recorder.messages} messages in {path}")
    return int(recorder.problem is not None or bool(losses) or recorder.messages == 0)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
