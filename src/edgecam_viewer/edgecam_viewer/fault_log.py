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

"""Reports the exceptions of tasks of the event loop and of jobs of worker threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import Any

from edgecam_ros.faults import FaultLog


def watch(faults: FaultLog, where: str, future: asyncio.Future[Any] | concurrent.futures.Future[Any]) -> None:
    """Report the exception of this task or job, if it fails; cancellation is not a failure."""

    def ended(done: asyncio.Future[Any] | concurrent.futures.Future[Any]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            faults.add(where, error)

    future.add_done_callback(ended)
