"""Faults: lost sources are reopened, a slow subscriber does not delay others, a stopped node leaks nothing."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from camera_process import LONG, camera_nodes, values
from camera_servers import RtspCamera
from clips import make_clip
from diagnostic_msgs.msg import DiagnosticArray
from edgecam_camera.node import CameraNode
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from ros_peer import Peer
from sensor_msgs.msg import Image
from waiting import wait_until


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def state(reports: list[DiagnosticArray]) -> str:
    """The newest message of the camera's diagnostics; empty before the first."""
    return reports[-1].status[0].message if reports else ""


def test_a_killed_rtsp_server_and_its_return_are_noticed(peer: Peer, stack: ExitStack) -> None:
    images: list[Image] = peer.collect(Image, "/camera/image_raw", qos_profile_sensor_data)
    reports: list[DiagnosticArray] = peer.collect(DiagnosticArray, "/diagnostics")
    server = RtspCamera()
    stack.callback(lambda: server.kill())
    # A kill closes the TCP connection; where nothing signals the end (UDP), stall_timeout applies.
    stack.enter_context(camera_nodes())(
        source=f"rtsp://127.0.0.1:{server.port}/live", rtsp_transport="tcp", stall_timeout=1.0
    )
    wait_until(lambda: len(images) >= 5, LONG, "frames")
    port = server.port
    server.kill()
    wait_until(lambda: state(reports).startswith("retrying"), LONG, "the loss in the diagnostics")
    # Down for so long that the delay between attempts has reached its maximum.
    wait_until(lambda: int(values(reports[-1])["reconnects"]) >= 4, LONG, "some failed attempts")
    count = len(images)
    server = RtspCamera(port)
    wait_until(lambda: len(images) > count, LONG, "a frame after the return")
    wait_until(lambda: state(reports) == "streaming", LONG, "a good report")
    assert int(values(reports[-1])["reconnects"]) >= 1


def test_without_a_clock_the_node_starts_and_reports_it(peer: Peer, stack: ExitStack) -> None:
    images: list[Image] = peer.collect(Image, "/camera/image_raw", qos_profile_sensor_data)
    reports: list[DiagnosticArray] = peer.collect(DiagnosticArray, "/diagnostics")
    stack.enter_context(camera_nodes())(source="test://smpte", use_sim_time=True)  # /clock has no publisher
    wait_until(lambda: len(images) >= 3, LONG, "frames")
    reports.clear()
    wait_until(lambda: len(reports) >= 2, LONG, "reports")


def test_a_refused_login_is_reported_with_its_remedy_and_retried(peer: Peer, stack: ExitStack) -> None:
    images: list[Image] = peer.collect(Image, "/camera/image_raw", qos_profile_sensor_data)
    reports: list[DiagnosticArray] = peer.collect(DiagnosticArray, "/diagnostics")
    server = RtspCamera(0, "me", "right")
    stack.callback(lambda: server.kill())
    port = server.port
    stack.enter_context(camera_nodes())(source=f"rtsp://me:wrong@127.0.0.1:{port}/live", rtsp_transport="tcp")
    wait_until(lambda: "Unauthorized" in state(reports), LONG, "the refusal in the diagnostics")
    reason = "rtspsrc: Unauthorized; set rtsp_user and rtsp_pass"
    assert state(reports).startswith(f"retrying: source 'rtsp://me:***@127.0.0.1:{port}/live': {reason}")
    assert reports[-1].status[0].level == b"\x02"
    assert "wrong" not in str(reports)
    assert not images
    server.kill()
    server = RtspCamera(port, "me", "wrong")
    wait_until(lambda: len(images) >= 3, LONG, "frames once the login is right")


def test_a_file_that_becomes_garbage_while_it_plays_is_reported_and_can_be_repaired(
    peer: Peer, stack: ExitStack, tmp_path: Path
) -> None:
    path = make_clip(tmp_path / "clip.mp4", frames=10)
    images: list[Image] = peer.collect(Image, "/camera/image_raw", qos_profile_sensor_data)
    reports: list[DiagnosticArray] = peer.collect(DiagnosticArray, "/diagnostics")
    stack.enter_context(camera_nodes())(source=f"file://{path}", loop=True, stall_timeout=1.0)
    wait_until(lambda: len(images) >= 15, LONG, "frames")
    path.write_bytes(os.urandom(path.stat().st_size))  # in place: the file changes while it is open
    wait_until(lambda: state(reports).startswith("retrying"), LONG, "the loss in the diagnostics")
    make_clip(path, frames=10)
    count = len(images)
    wait_until(lambda: len(images) > count + 5, LONG, "frames after the repair")


def test_a_stalled_subscriber_does_not_delay_the_others(peer: Peer, stack: ExitStack) -> None:
    stalled = Peer("stalled")
    stack.callback(stalled.close)
    blocked, release, released = threading.Event(), threading.Event(), threading.Event()
    stack.callback(release.set)

    def sleep(_message: Image) -> None:
        blocked.set()
        release.wait(LONG)
        released.set()

    stalled.node.create_subscription(Image, "/camera/image_raw", sleep, 1)  # reliable: it could block the publisher
    images: list[Image] = peer.collect(Image, "/camera/image_raw", qos_profile_sensor_data)
    stack.enter_context(camera_nodes())(image_width=320, image_height=240, framerate=30.0)
    wait_until(blocked.is_set, LONG, "the first frame of the stalled subscriber")
    count = len(images)
    wait_until(lambda: len(images) >= count + 60, LONG, "60 frames at the other subscriber")
    assert not released.is_set()


def resources() -> tuple[int, int, int]:
    """Threads, open files and resident memory (KiB) of this process."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["Threads"]), len(os.listdir("/proc/self/fd")), int(status["VmRSS"].split()[0])


CYCLES = int(os.environ.get("EDGECAM_CYCLES", "30"))


def test_starting_and_stopping_leaves_nothing_behind(peer: Peer) -> None:
    """``EDGECAM_CYCLES=1000`` for the long run."""
    overrides = [
        Parameter("autostart", value=False),
        Parameter("image_width", value=64),
        Parameter("image_height", value=48),
    ]
    node = CameraNode(parameter_overrides=overrides, namespace="/cycled")
    try:
        cycle(node, max(5, CYCLES // 10))  # caches fill
        before = resources()
        cycle(node, CYCLES)
        # The middleware's own threads end a moment later than the entities they serve.
        wait_until(lambda: resources()[0] <= before[0] and resources()[1] <= before[1], LONG, "threads and files to go")
        after = resources()
    finally:
        node.destroy_node()
    assert after[2] - before[2] < 4096 + 8 * CYCLES  # KiB; a leaked 64x48 frame would be 9 a cycle


def cycle(node: CameraNode, times: int) -> None:
    for _ in range(times):
        assert node.trigger_configure().name == "SUCCESS"
        assert node.trigger_activate().name == "SUCCESS"
        wait_until(lambda: node.report().message == "streaming", LONG, "frames")
        assert node.trigger_deactivate().name == "SUCCESS"
        assert node.trigger_cleanup().name == "SUCCESS"
