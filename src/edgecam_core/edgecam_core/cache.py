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

"""Cache of files that edgecam can rebuild: written atomically, by one process at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from edgecam_core.errors import EdgecamError
from edgecam_core.files import open_in_place, write_atomically

LOCK_TIMEOUT = 900.0  # seconds; long enough for a slow download in another process
log = logging.getLogger(__name__)


class CacheError(EdgecamError):
    """The cache folder is not usable; the message contains the remedy."""


def cache_dir(kind: str) -> Path:
    """``${EDGECAM_CACHE:-${XDG_CACHE_HOME:-~/.cache}/edgecam}/<kind>``; does not create it."""
    root = os.environ.get("EDGECAM_CACHE")
    if root:
        return Path(root).expanduser() / kind
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "edgecam" / kind


def sha256(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write(path: Path, data: bytes) -> None:
    """Write a file atomically, see :func:`edgecam_core.files.write_atomically`.

    Raises:
        CacheError: the folder is not writable or the disk is full; nothing is left behind.
    """
    with explained(path.parent):
        write_atomically(path, data)


@contextlib.contextmanager
def lock(path: Path, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold a file lock during the block; creates its folder if necessary.

    Blocks while another process holds the lock, up to 15 minutes. ``waiting`` is called ten times a second meanwhile
    and may raise an exception to abort. A process that ends releases its lock.

    Raises:
        CacheError: the folder is not writable, or the wait timed out.
    """
    with explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(open_in_place(path), "r+b")
    with file:
        deadline = time.monotonic() + LOCK_TIMEOUT
        logged = False
        while not _locked(file.fileno(), path.parent):
            if time.monotonic() > deadline:
                raise CacheError(f"another process has held {path} for {LOCK_TIMEOUT:.0f} s; stop that process")
            if not logged:
                log.info("waiting for another process that holds %s", path)
            logged = True
            if waiting is not None:
                waiting(f"waiting for another process that holds {path}")
            time.sleep(0.1)
        yield


def shared_lock(path: Path, alone: Callable[[], object]) -> IO[bytes]:
    """Hold a file lock together with other processes until the returned file is closed.

    First calls ``alone`` if no other process holds it; blocks while another process is in its own ``alone``.

    Raises:
        CacheError: the folder is not writable.
    """
    with explained(path.parent):
        file = os.fdopen(open_in_place(path), "r+b")
        try:
            if _locked(file.fileno(), path.parent):
                alone()
            fcntl.flock(file, fcntl.LOCK_SH)
        except BaseException:
            file.close()
            raise
    return file


def _locked(handle: int, folder: Path) -> bool:
    with explained(folder):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@contextlib.contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn file system errors in the block into a CacheError."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        root = cache_dir("")
        if folder == root or root in folder.parents:
            what, alternative = f"the cache {folder}", ", or set EDGECAM_CACHE to another folder"
        else:
            what, alternative = str(folder), ""
        reason, remedy = (
            ("the disk is full", "free some space") if full else (error.strerror or str(error), "make it writable")
        )
        raise CacheError(f"cannot write {what}: {reason}; {remedy}{alternative}") from error
