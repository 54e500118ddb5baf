"""A node whose DDS has deadlocked starts again; see edgecam_ros.deadlock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import forked
import pytest
import yaml
from edgecam_core.files import descriptor_path, in_memory
from rclpy.qos import qos_profile_sensor_data
from ros_peer import Peer
from sensor_msgs.msg import Image
from waiting import wait_until

from edgecam_ros import deadlock

BLOCKED = """
import ctypes, threading
def block():
    libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    libc.pthread_mutex_lock(mutex)
    libc.prctl(15, b"dds.ev.9", 0, 0, 0)  # PR_SET_NAME
    named.set()
    libc.pthread_mutex_lock(mutex)  # for ever
named = threading.Event()
threading.Thread(target=block, daemon=True).start()
named.wait()
"""
PARAMETERS = {"/**": {"ros__parameters": {"source": "test://red", "image_width": 64, "image_height": 48}}}
CAMERA = """
import os, sys
from pathlib import Path
from edgecam_camera.node import CameraNode
from edgecam_ros import deadlock, main
class DeadlocksOnce(CameraNode):
    def __init__(self):
        super().__init__()
        if not (started := Path(sys.argv[1])).exists():
            started.touch()
            os.set_inheritable(os.open(started, os.O_RDONLY), True)
            exec(BLOCKED, {})
deadlock.LOOKS = 2
sys.exit(main.run(DeadlocksOnce))
"""


def test_a_node_whose_event_thread_has_deadlocked_starts_again(peer: Peer, tmp_path: Path) -> None:
    images = peer.collect(Image, "/again/image_raw", qos_profile_sensor_data)
    started = tmp_path / "started"
    with in_memory(yaml.safe_dump(PARAMETERS)) as file:
        ros = ("--ros-args", "-r", "__ns:=/again", "--params-file", descriptor_path(file))
        command = [sys.executable, "-c", f"{BLOCKED=}\n{CAMERA}", started, *ros]
        camera = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, pass_fds=[file])
    with camera:
        try:
            assert camera.stderr is not None
            said = []
            while deadlock.MESSAGE + "\n" not in said:
                said.append(camera.stderr.readline())
                assert said[-1], f"the node ended: {said}"
            images.clear()
            wait_until(lambda: len(images) > 20, what="images after the new start")
            links = [os.readlink(f"/proc/{camera.pid}/fd/{number}") for number in os.listdir(f"/proc/{camera.pid}/fd")]
            assert str(started) not in links
        finally:
            camera.send_signal(signal.SIGINT)
        assert camera.wait(120) == 0


def test_an_event_thread_that_works_has_not_deadlocked(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlock, "INTERVAL", 0.05)
    watched = deadlock.EventThreads()
    assert watched._threads, "Fast DDS names its event threads in another way"
    for _ in range(2 * deadlock.LOOKS):
        assert not watched.deadlocked()
        time.sleep(deadlock.INTERVAL)


ENDING = """
import ctypes, sys
from edgecam_camera.node import CameraNode
from edgecam_ros import ending, main
class Deadlocked:
    def __init__(self):
        self.executor = make_executor()
    def __getattr__(self, name):
        if name == sys.argv[1]:
            ctypes.PyDLL(None).pause()  # with Python's lock held
        return getattr(self.executor, name)
def end_with(code):
    ending.LIMIT = 0.5  # not before: a busy machine may take longer to create the node
    ending.end_with(code)
make_executor = main.make_executor
main.make_executor, main.end_with = Deadlocked, end_with
sys.exit(main.run(CameraNode))
"""


@pytest.mark.parametrize("step", ["remove_node", "shutdown"])
def test_a_node_ends_although_its_executor_cannot_let_go_of_its_readers(step: str) -> None:
    command = [sys.executable, "-c", ENDING, step, "--ros-args", "-p", "source:=test://red"]
    with forked.Popen(command, stderr=subprocess.PIPE, text=True) as camera:
        assert camera.stderr is not None
        while "delivers" not in (line := camera.stderr.readline()):
            assert line, "the node ended"
        camera.send_signal(signal.SIGINT)
        said = camera.stderr.read()
        assert camera.wait(120) == 0
        assert "Timeout (0:00:00.500000)!" in said
