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

"""Starts a process that can be stopped at any time, even during the imports, which take a second or more."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import threading
from collections.abc import Callable, MutableMapping
from types import ModuleType

from edgecam_core.distributions import profile_variable

_PROFILE = "FASTDDS_DEFAULT_PROFILES_FILE"


def apply_profile(environment: MutableMapping[str, str]) -> None:
    """Set the Fast DDS profile in the variable that this distribution reads; call before importing rclpy.

    The launch files set the variable of Fast DDS 3 on every distribution. As on Kilted, theirs replaces that of the
    shell, which may name a larger segment.
    """
    if path := environment.get(_PROFILE):
        environment[profile_variable(environment.get("ROS_DISTRO", ""))] = path


def start(module: str, parallel: Callable[[], object] | None = None) -> int:
    """Import the module and return the result of its ``main``; ``parallel`` runs in a thread from the beginning.

    ``parallel`` loads what ``main`` needs anyway. Its exceptions are discarded, because ``main`` reports them.

    Until ``main`` installs its handlers, SIGINT and SIGTERM end the process with exit code 0; there is nothing to
    clean up before. The executables start with both signals blocked (setup.cfg), because a signal during Python's
    start would print a traceback.
    """
    apply_profile(os.environ)
    ending = (signal.SIGINT, signal.SIGTERM)
    for number in ending:
        signal.signal(number, lambda _number, _frame: os._exit(0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ending)
    if parallel is not None:
        threading.Thread(target=_tried, args=(parallel,), name="parallel", daemon=True).start()
    return int(imported(module).main())


def load_gstreamer() -> None:
    """For ``start``'s ``parallel``: GStreamer reads its registry while Python imports."""
    from edgecam_core.media import binding

    binding.load()


def _tried(work: Callable[[], object]) -> None:
    with contextlib.suppress(Exception):
        work()


def imported(name: str) -> ModuleType:
    """The module, imported without the garbage collector, which would find nothing and takes a tenth of the time.

    What is there then stays as long as the process, so later collections pass over it.
    """
    gc.disable()
    try:
        module = importlib.import_module(name)
        gc.freeze()
    finally:
        gc.enable()
    return module
