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

"""Label collected frames in the browser, without ROS."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path
from typing import Any

from edgecam_core.errors import EdgecamError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("collection", help="folder of a collection, written by the collector")
    parser.add_argument("--host", default="127.0.0.1", help="address to serve at (default %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="TCP port; 0: any free port (default %(default)s)")
    parser.add_argument("--token", default="", help="token that browsers need at an address other than loopback")


class _NoPipeline:
    """Refuses all requests, because there is no pipeline."""

    def ask(self, request: dict[str, Any], answer: Any) -> None:
        raise EdgecamError("there is no pipeline; start the viewer node instead")


def waits_for(args: argparse.Namespace) -> str:
    return f"reading the collection {args.collection}"


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    from edgecam_core.collect.collection import Collection
    from edgecam_ros.faults import FaultLog

    from edgecam_viewer.hub import Hub
    from edgecam_viewer.invitation import invitation, show
    from edgecam_viewer.server import WebServer
    from edgecam_viewer.settings import ViewerSettings

    collection = Collection.open(Path(args.collection))
    settings = ViewerSettings(host=args.host, port=args.port, token=args.token, collection=str(collection.root))
    server = WebServer(settings, Hub(1, settings.max_viewers), _NoPipeline(), FaultLog(print))
    server.start()
    url = server.link("/label")
    count = len(collection.ids())
    print(f"{count} frame{'s' * (count != 1)} in {collection.root}", flush=True)
    print(f"label them at {url} (stop with Ctrl-C)", flush=True)
    if server.public:
        show(invitation(url, server.access.token))
    try:
        threading.Event().wait()
    finally:
        server.stop()
    return 0
