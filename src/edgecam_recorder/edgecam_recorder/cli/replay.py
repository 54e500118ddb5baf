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

"""Publish a recording's topics again, or compare two models on its images.

    edgecam replay drive.mcap --rate 2 --loop
    edgecam replay rosbag2_folder/ /camera/image_raw --start 12.5
    edgecam replay drive.mcap --compare a.onnx b.onnx --output disagreements

Reads MCAP files, rosbag2 folders, and .db3 files (these need `pip install rosbags`). Nodes use the time of the
recording with use_sim_time:=true.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgecam_core.cli._settings import add_settings
from edgecam_core.errors import SettingError
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_ros.command_node import command_node

from edgecam_recorder.cli import _compare

if TYPE_CHECKING:
    from edgecam_core.recording.reader import Recording


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recording", type=Path, help="an MCAP file, a .db3 file, or the folder of a bag")
    parser.add_argument("topics", nargs="*", help="play only these topics")
    parser.add_argument("--rate", type=float, default=1.0, help="2 is twice as fast (default 1)")
    parser.add_argument("--start", type=float, default=0.0, metavar="S", help="skip the first S seconds")
    parser.add_argument("--loop", action="store_true", help="start again at the end")
    parser.add_argument("--step", action="store_true", help="publish one message of the first topic per Enter")
    parser.add_argument("--delay", type=float, default=1.0, metavar="S", help="seconds for discovery (default 1)")
    parser.add_argument("--clock", action=argparse.BooleanOptionalAction, default=True, help="publish /clock")
    parser.add_argument("--prefix", default="", metavar="NAME", help="prefix of all topics, e.g. /replayed")
    parser.add_argument("--list", action="store_true", help="list the topics and exit")
    _compare.add_arguments(parser)
    add_settings(parser, DetectorSettings, _compare.SETTINGS)


def waits_for(args: argparse.Namespace) -> str:
    if args.list or args.compare:
        return f"reading {args.recording}"
    return f"reading {args.recording}; playing starts {args.delay:g} s after its topics are announced (--delay)"


def run(args: argparse.Namespace) -> int:
    """Play, list or compare. Returns 1 if a part of the recording is damaged, or if two models disagree, else 0."""
    from edgecam_core.recording.playback import Playback
    from edgecam_core.recording.reader import open_recording

    if args.rate <= 0:
        raise SettingError("--rate", args.rate, "must be above 0")
    recording = open_recording(args.recording)
    if args.list:
        _list(recording)
        return int(bool(recording.damage))
    if args.compare:
        return _compare.run(args, recording)
    playback = Playback(recording, args.topics, 0.0 if args.step else args.rate, args.start, args.loop)
    with command_node("edgecam_replay") as node:
        from edgecam_recorder.replaying import Republisher

        chosen = [topic for name, topic in recording.topics.items() if not args.topics or name in args.topics]
        republisher = Republisher(node, chosen, args.clock, args.prefix)
        republisher.publish_time(recording.start_ns)
        time.sleep(args.delay)
        playback.on_time = republisher.publish_time
        step_topic = (args.topics or [None])[0]
        for message in playback:
            if args.step and step_topic in (None, message.topic.name):
                print(f"{message.log_ns / 1e9:.3f} {message.topic.name}; Enter publishes it", flush=True)
                if not sys.stdin.readline():
                    break
            republisher.publish(message)
        republisher.finish()
    print(f"{republisher.published} messages of {len(chosen)} topics")
    if recording.damage:
        print(f"error: {recording.damage}", file=sys.stderr)
    return int(bool(recording.damage))


def _list(recording: Recording) -> None:
    counts = dict.fromkeys(recording.topics, 0)
    for message in recording.messages():
        counts[message.topic.name] += 1
    print(f"{(recording.end_ns - recording.start_ns) / 1e9:.1f} s, {sum(counts.values())} messages")
    for name, topic in sorted(recording.topics.items()):
        print(f"{counts[name]:8d}  {name}  {topic.type}")
    if recording.damage:
        print(f"error: {recording.damage}", file=sys.stderr)
