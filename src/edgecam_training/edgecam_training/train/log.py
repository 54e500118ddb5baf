"""The log of a run: lines on the terminal and in ``log.txt``, curves for TensorBoard where it is installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class RunLog:
    """Called with a line; :meth:`scalars` with the numbers of an epoch. Silent in all processes but the first."""

    def __init__(self, folder: Path, speaks: bool) -> None:
        self._speaks = speaks
        self._tensorboard: Any = None
        if not speaks:
            return
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / "log.txt").open("a", encoding="utf-8")
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._tensorboard = SummaryWriter(str(folder / "tensorboard"))

    def __call__(self, line: str) -> None:
        if self._speaks:
            print(line, flush=True)
            print(line, file=self._file, flush=True)

    def scalars(self, values: Mapping[str, float], epoch: int) -> None:
        if self._tensorboard is not None:
            for name, value in values.items():
                self._tensorboard.add_scalar(name, value, epoch)
            self._tensorboard.flush()

    def close(self) -> None:
        if self._speaks:
            self._file.close()
        if self._tensorboard is not None:
            self._tensorboard.close()


@contextmanager
def open_log(folder: Path, speaks: bool) -> Iterator[RunLog]:
    log = RunLog(folder, speaks)
    try:
        yield log
    finally:
        log.close()
