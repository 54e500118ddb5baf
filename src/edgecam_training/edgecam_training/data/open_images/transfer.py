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

"""Downloads one file over HTTP, or copies it from a folder; with retries, resumable, written atomically."""

from __future__ import annotations

import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from edgecam_training.errors import DatasetError

Progress = Callable[[int, int], None]
TIMEOUT = 30.0  # seconds without a byte
TRIES = 5
FIRST_PAUSE = 0.5  # seconds; doubles
_BLOCK = 1 << 18


class Missing(Exception):
    """The server has no such file; retrying is useless."""


def fetch(url: str, target: Path, progress: Progress | None = None) -> None:
    """Download to ``target``; continues an interrupted download (``target.part``). A path without a scheme is copied.

    Blocks; gives up after :data:`TRIES` failures in a row without progress.

    Args:
        progress: called with (bytes done, total bytes) after every block, if the server sends the length.

    Raises:
        Missing: 404 or 410, or no such file.
        DatasetError: every attempt failed, or the disk is full.
    """
    partial = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    if "://" not in url:
        _copy(Path(url).expanduser(), partial)
        os.replace(partial, target)
        return
    failures = 0
    while True:
        before = partial.stat().st_size if partial.is_file() else 0
        try:
            _continue(url, partial, before, progress)
            os.replace(partial, target)
            return
        except urllib.error.HTTPError as error:
            if error.code in (404, 410):
                raise Missing(url) from error
            if error.code == 416:  # the partial file is longer than the file: start again
                partial.unlink(missing_ok=True)
            reason = f"HTTP {error.code}"
        except OSError as error:
            if error.errno == 28:
                raise DatasetError(f"the disk is full while writing {target}; free space and run it again") from error
            reason = str(getattr(error, "reason", None) or error)
        except http.client.HTTPException as error:
            reason = f"{type(error).__name__} {error}"
        after = partial.stat().st_size if partial.is_file() else 0
        failures = 1 if after > before else failures + 1
        if failures >= TRIES:
            raise DatasetError(
                f"{url} cannot be downloaded after {failures} attempts: {reason}; run the command again to continue"
            )
        time.sleep(FIRST_PAUSE * 2 ** (failures - 1))


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError as error:
        raise Missing(str(source)) from error
    except OSError as error:
        raise DatasetError(f"{source} cannot be copied to {target}: {error.strerror}") from error


def _continue(url: str, partial: Path, begin: int, progress: Progress | None) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "edgecam"})
    if begin:
        request.add_header("Range", f"bytes={begin}-")
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        resumed = response.status == 206
        total = _total(response, begin if resumed else 0)
        with partial.open("ab" if resumed else "wb") as file:
            while block := response.read(_BLOCK):
                file.write(block)
                if progress and total:
                    progress(file.tell(), total)
    size = partial.stat().st_size
    if total is not None and size != total:
        raise OSError(f"the connection ended after {size} of {total} bytes")


def _total(response: http.client.HTTPResponse, begin: int) -> int | None:
    length = response.headers.get("Content-Length")
    return None if length is None else begin + int(length)
