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

"""Temporary folders that ``edgecam doctor`` can tell from those of a killed process."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

IN_USE = ".edgecam-in-use"
"""A file in each temporary folder. The process that made the folder holds its lock (flock) until it ends."""


class TemporaryFolder(tempfile.TemporaryDirectory[str]):
    """A new folder ``edgecam-PURPOSE-...`` in the system's folder for temporary files, removed with all its content
    at the end of a ``with`` block or of the process. Raises OSError if it cannot be made.

    A process that is killed with SIGKILL leaves it behind without the lock; doctor/temporary_folders.py removes it.
    """

    def __init__(self, purpose: str) -> None:
        super().__init__(prefix=f"edgecam-{purpose}-")
        unlocked = Path(self.name, f"{IN_USE}.new")
        self._lock = unlocked.open("xb")  # stays open: closing it releases the lock
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        os.replace(unlocked, Path(self.name, IN_USE))  # complete and locked from its first moment

    def cleanup(self) -> None:
        """Remove the folder."""
        super().cleanup()
        self._lock.close()
