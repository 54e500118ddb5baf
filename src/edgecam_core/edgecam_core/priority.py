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

"""CPU priority: leaves CPU time to the pipeline under load, and restores the priority to stop in time."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

AUTOGROUP = Path("/proc/self/autogroup")


def lower_priority(niceness: int) -> None:
    """Set the nice value (0..19) of the calling thread and the threads it starts later; never lowers the value."""
    os.setpriority(os.PRIO_PROCESS, 0, max(niceness, os.getpriority(os.PRIO_PROCESS, 0)))


def lower_session_priority(niceness: int) -> None:
    """Set the nice value of the session of this process, if the process is the session leader.

    With the kernel's autogroups (sched(7)), nice values count only within a session, and launch files start each node
    in a separate session. Unlike that of a thread, the value of a session may return to 0 without privileges.
    """
    if os.getsid(0) == os.getpid():
        # The file does not exist without autogroups, and the kernel limits how often it may be written.
        with contextlib.suppress(OSError):
            AUTOGROUP.write_text(str(niceness))
