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

"""The log of a run: lines on the terminal and in ``log.txt``, and curves for TensorBoard if it is installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class RunLog:
    """Call it with a line; :meth:`scalars` takes the values of an epoch. Logs only if ``active``."""

    def __init__(self, folder: Path, active: bool) -> None:
        self._active = active
        self._tensorboard: Any = None
        if not active:
            return
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / "log.txt").open("a", encoding="utf-8")
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._tensorboard = SummaryWriter(str(folder / "tensorboard"))

    def __call__(self, line: str) -> None:
        if self._active:
            print(line, flush=True)
            print(line, file=self._file, flush=True)

    def scalars(self, values: Mapping[str, float], epoch: int) -> None:
        if self._tensorboard is not None:
            for name, value in values.items():
                self._tensorboard.add_scalar(name, value, epoch)
            self._tensorboard.flush()

    def close(self) -> None:
        if self._active:
            self._file.close()
        if self._tensorboard is not None:
            self._tensorboard.close()


@contextmanager
def open_log(folder: Path, active: bool) -> Iterator[RunLog]:
    log = RunLog(folder, active)
    try:
        yield log
    finally:
        log.close()
