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

"""List the events stored by the events node, newest first."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

from edgecam_core.errors import EdgecamError
from edgecam_core.events.index import EventIndex, StoredEvent


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directory", nargs="?", default="~/edgecam-events", help="events_directory of the node (default %(default)s)"
    )
    parser.add_argument("--rule", default="", help="only events of this rule")
    parser.add_argument("--label", default="", help="only events of this class")
    parser.add_argument("--camera", default="", help="only events of this camera")
    parser.add_argument("--limit", type=int, default=20, help="maximum number of events (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line, with all fields")


def run(args: argparse.Namespace) -> int:
    index = EventIndex(Path(args.directory))
    if not index.root.is_dir():
        raise EdgecamError(f"there is no folder {index.root}; give the events_directory of the node")
    events = index.find(rule=args.rule, label=args.label, camera=args.camera, limit=args.limit)
    for event in events:
        print(json.dumps(asdict(event)) if args.json else _line(event))
    if not events and not args.json:
        print("no events")
    return 0


def _line(event: StoredEvent) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.start_ns / 1e9))
    lasted = "ongoing" if event.end_ns is None else f"{(event.end_ns - event.start_ns) / 1e9:.1f} s"
    place = f" in {event.zone}" if event.zone else ""
    files = " ".join(name for name in (event.snapshot, event.clip) if name)
    return f"{when}  {lasted:>8}  {event.camera}  {event.rule}: {event.label} {event.kind}{place}  {files}"
