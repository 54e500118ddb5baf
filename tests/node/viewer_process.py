"""The viewer node as a separate process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from waiting import wait_until

RUN = "import sys; from edgecam_viewer.start import viewer; sys.exit(viewer())"


class ViewerProcess:
    """Starts the node in namespace /camera and waits until its page can be opened; a context ends it with SIGINT."""

    def __init__(self, folder: Path, *parameters: str) -> None:
        self.log = folder / "viewer.log"
        # On a busy machine, another node may need long, and a session of low priority hardly gets any CPU time.
        given = ("request_timeout:=240.0", "niceness:=0", *parameters)
        arguments = [word for parameter in given for word in ("-p", parameter)]
        command = [sys.executable, "-c", RUN, "--ros-args", "-r", "__ns:=/camera", *arguments]
        with self.log.open("w") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)

    @property
    def url(self) -> str:
        found = wait_until(lambda: re.search(r"open (https?://\S+)", self.text()), 120, "the viewer's address")
        return found.group(1)

    def started(self) -> bool:
        """Whether the program handles signals: SIGTERM is caught from its first line on."""
        status = dict(
            line.split(":\t", 1) for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        )
        return bool(int(status["SigCgt"], 16) >> (signal.SIGTERM - 1) & 1)

    def text(self) -> str:
        return self.log.read_text()

    def stop(self, number: int = signal.SIGINT) -> int:
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)
        return self.process.wait(timeout=120)

    def __enter__(self) -> ViewerProcess:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()


def fetch(url: str) -> bytes:
    """The response; a snapshot is refused with 503 until the first frame arrives."""

    def attempt() -> bytes | None:
        try:
            with urllib.request.urlopen(url, timeout=120) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            return None

    return wait_until(attempt, what=f"a response from {url}")
