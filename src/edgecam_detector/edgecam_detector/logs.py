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

"""Forwards log records of edgecam_core to a node's logger."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rclpy.impl.rcutils_logger import RcutilsLogger

_CORE = logging.getLogger("edgecam_core")


class _Forward(logging.Handler):
    """Forwards only records of the thread that created it: other nodes in this process have their own loggers."""

    def __init__(self, target: RcutilsLogger) -> None:
        super().__init__(logging.WARNING)
        self._target = target
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._target.warning(record.getMessage())


@contextmanager
def forward_logs_to(logger: RcutilsLogger) -> Iterator[None]:
    """Within the block, forward this thread's warnings of edgecam_core, e.g. why an engine is rebuilt."""
    handler = _Forward(logger)
    _CORE.addHandler(handler)
    try:
        yield
    finally:
        _CORE.removeHandler(handler)
