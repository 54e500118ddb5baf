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

"""Writes files without following planted links, and reports free disk space."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file atomically: a reader sees either the old or the new content, even after a power cut.

    The content is first written to a temporary file with an unguessable name in the same folder, which is never
    created through an existing link. A link at ``path`` is replaced; its target does not change.

    Raises:
        OSError: the file cannot be written; nothing is left behind.
    """
    data = content.encode() if isinstance(content, str) else content
    part = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    handle = _open(part, os.O_WRONLY | os.O_EXCL)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def in_memory(content: str | bytes) -> Iterator[int]:
    """A file in memory during the block: an open descriptor, for this process and, with ``pass_fds``, those it starts.

    It has no name on the disk: no other user can open it, and nothing is left behind by a process that is killed. Its
    path in each of them is that of :func:`descriptor_path`.
    """
    handle = os.memfd_create("edgecam")
    try:
        with os.fdopen(handle, "wb", closefd=False) as file:
            file.write(content.encode() if isinstance(content, str) else content)
        yield handle
    finally:
        os.close(handle)


def descriptor_path(handle: int) -> str:
    """The path by which a process opens a file that it has as this descriptor, from its beginning."""
    return f"/proc/self/fd/{handle}"


def create(path: Path) -> Path:
    """Create an empty file for a writer that opens it by name, such as GStreamer's filesink.

    If a file or link with this name exists, the new file gets a random suffix. Returns its path.

    Raises:
        OSError: the file cannot be created.
    """
    try:
        os.close(_open(path, os.O_WRONLY | os.O_EXCL))
    except FileExistsError:
        path = path.with_stem(f"{path.stem}_{os.urandom(4).hex()}")
        os.close(_open(path, os.O_WRONLY | os.O_EXCL))
    return path


def open_in_place(path: Path) -> int:
    """A handle to a file that is modified in place, such as a lock; created if missing, never truncated.

    Raises:
        OSError: it cannot be opened; ELOOP if a link has this name.
    """
    return _open(path, os.O_RDWR)


def refuse_links(*paths: Path) -> None:
    """For libraries that open the files themselves. Raises OSError (ELOOP) if one of the names is a link."""
    for path in paths:
        if path.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


@contextmanager
def unlocked(lock: Path) -> Iterator[bool]:
    """Hold the lock (flock) of a file in the block; yields False if a process holds it, or if it cannot be opened."""
    try:
        file = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(file)  # releases the lock


def _open(path: Path, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


def free_bytes(folder: Path) -> int:
    """Free space for this user on the disk of a folder, which need not exist yet."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    disk = os.statvfs(existing)
    return disk.f_bavail * disk.f_frsize
