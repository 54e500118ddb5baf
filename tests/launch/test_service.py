"""The systemd unit's command, run and stopped as by systemd: a bare environment, SIGINT to the main process only."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import psutil
from launched import ROOT, UNTUNED, ros_environment, still_running
from waiting import wait_until

UNIT = ROOT / "systemd" / "edgecam@.service"
KEEP = ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE", "HOME", "EDGECAM_CACHE", "XDG_CACHE_HOME")


def test_the_service_starts_its_launch_file_and_stops_cleanly(tmp_path: Path) -> None:
    command = re.search(r"^ExecStart=/bin/bash -c '(.+)'$", UNIT.read_text(), re.MULTILINE)
    assert command
    assert "KillMode=mixed" in UNIT.read_text()
    env = {key: value for key, value in ros_environment().items() if key in KEEP}
    arguments = " ".join(("source:=test://smpte", "rtp:=false", "viewer:=false", "respawn:=true", *UNTUNED))
    env |= {"PATH": "/usr/bin:/bin", "EDGECAM_ARGUMENTS": arguments}
    journal = tmp_path / "journal.txt"
    with journal.open("w") as out:
        service = subprocess.Popen(
            ["/bin/bash", "-c", command[1].replace("%i", "pipeline")],
            cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        text = wait_until(lambda: "delivers" in journal.read_text() and journal.read_text(), 120, "frames")
        assert "[camera_node-1]" in text
        assert "[detector_node-2]" in text
        children = psutil.Process(service.pid).children(recursive=True)
        assert len(children) >= 2
        service.send_signal(signal.SIGINT)
        assert service.wait(120) == 0, journal.read_text()
        assert still_running(children) == []
        assert "Traceback" not in journal.read_text()
    finally:
        if service.poll() is None:
            os.killpg(service.pid, signal.SIGKILL)
