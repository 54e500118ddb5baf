"""Getting one file over HTTP: retries, goes on where it stopped, whole or not at all."""

from __future__ import annotations

import http.client
import os
import time
import urllib.error
import urllib.request
from pathlib import Path

from edgecam_training.errors import DatasetError

TIMEOUT = 30.0  # seconds without a byte
TRIES = 5
FIRST_PAUSE = 0.5  # seconds; doubles
_BLOCK = 1 << 18


class Missing(Exception):
    """The server says there is no such file; trying again is no use."""


def fetch(url: str, target: Path, tries: int = TRIES, pause: float = FIRST_PAUSE) -> None:
    """Download to ``target``. What a stopped download left (``target.part``) is gone on with.

    Blocks; ends after ``tries`` failures in a row without any progress.

    Raises:
        Missing: 404 or 410.
        DatasetError: every try failed, or the disk is full; says why.
    """
    partial = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    failures = 0
    while True:
        before = partial.stat().st_size if partial.is_file() else 0
        try:
            _go_on(url, partial, before)
            os.replace(partial, target)
            return
        except urllib.error.HTTPError as error:
            if error.code in (404, 410):
                raise Missing(url) from error
            if error.code == 416:  # what is there is longer than the file: begin again
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
        if failures >= tries:
            raise DatasetError(f"{url} cannot be had after {failures} tries: {reason}; the same command goes on there")
        time.sleep(pause * 2 ** (failures - 1))


def _go_on(url: str, partial: Path, begin: int) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "edgecam"})
    if begin:
        request.add_header("Range", f"bytes={begin}-")
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        goes_on = response.status == 206
        total = _total(response, begin if goes_on else 0)
        with partial.open("ab" if goes_on else "wb") as file:
            while block := response.read(_BLOCK):
                file.write(block)
    size = partial.stat().st_size
    if total is not None and size != total:
        raise OSError(f"the connection ended after {size} of {total} bytes")


def _total(response: http.client.HTTPResponse, begin: int) -> int | None:
    length = response.headers.get("Content-Length")
    return None if length is None else begin + int(length)
