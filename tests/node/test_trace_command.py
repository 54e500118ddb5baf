"""``edgecam trace`` on running nodes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import forked
from camera_process import camera_nodes
from ros_peer import Peer
from sensor_msgs.msg import Image
from waiting import wait_until

COMMAND = [sys.executable, "-m", "edgecam_core.cli.main", "trace"]


def test_the_stages_of_a_camera_and_its_frames_end_up_in_both_files(peer: Peer, tmp_path: Path) -> None:
    images = peer.collect(Image, "/camera/image_raw", 5)  # a camera without subscribers converts nothing
    with camera_nodes() as start:
        start(source="test://smpte")
        wait_until(lambda: images, what="an image")
        words = [*COMMAND, "--seconds", "2", "--json", str(tmp_path / "t.json"), "--svg", str(tmp_path / "t.svg")]
        for _ in range(5):  # one call waits ten seconds, which a busy machine may exceed
            done = forked.run(words, capture_output=True, text=True, timeout=120)
            if done.returncode == 0:
                break
    assert done.returncode == 0, done.stderr
    assert "captured and decoded" in done.stdout
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    assert {event["name"] for event in events if event["ph"] == "X"} == {"captured and decoded", "published"}
    assert "camera: published" in (tmp_path / "t.svg").read_text()


def test_without_nodes_it_is_reported() -> None:
    done = forked.run([*COMMAND, "--seconds", "0"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "no frame was traced" in done.stderr
