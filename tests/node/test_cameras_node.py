"""Many cameras from one file, as separate processes over real DDS."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from camera_process import LONG
from rclpy.qos import qos_profile_sensor_data
from ros_peer import Peer
from sensor_msgs.msg import Image
from waiting import wait_until

CAMERAS = """
defaults: {image_width: 64, image_height: 48}
cameras:
- {camera_name: left, source: "test://red"}
- {camera_name: right, source: "test://blue", image_encoding: rgb8}
"""


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_each_camera_has_its_namespace_and_is_restarted_if_it_dies(peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / "cameras.yaml"
    path.write_text(CAMERAS)
    left = peer.collect(Image, "/robot/left/image_raw", qos_profile_sensor_data)
    right = peer.collect(Image, "/robot/right/image_raw", qos_profile_sensor_data)
    fleet = subprocess.Popen(
        [sys.executable, "-m", "edgecam_camera.cameras", str(path), "--namespace", "/robot", "--respawn", "true"]
    )
    try:
        wait_until(lambda: left and right, LONG, "frames of both cameras")
        assert left[0].header.frame_id == "left_optical_frame"
        assert (right[0].encoding, right[0].header.frame_id) == ("rgb8", "right_optical_frame")
        pids = children(fleet.pid)
        assert len(pids) == 2
        subprocess.run(["kill", "-KILL", str(pids[0])], check=True)
        wait_until(
            lambda: len(children(fleet.pid)) == 2 and children(fleet.pid) != pids,
            LONG,
            "the restart of the killed camera",
        )
        alive = children(fleet.pid)
        fleet.send_signal(signal.SIGINT)
        assert fleet.wait(LONG) == 0
        assert not [pid for pid in alive if Path(f"/proc/{pid}").exists()]
    finally:
        fleet.kill()
        fleet.wait()


def test_no_camera_starts_if_one_of_them_cannot(tmp_path: Path) -> None:
    path = tmp_path / "cameras.yaml"
    path.write_text(CAMERAS + "- {camera_name: third, framerate: -1.0}\n")
    command = [sys.executable, "-m", "edgecam_camera.cameras", str(path), "--ros-args", "-r", "__node:=x"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG, check=False)
    assert done.returncode == 2
    assert "camera 3 (third): parameter 'framerate' is -1.0" in done.stderr
