"""Snapshots, recordings and calibrations of a running camera node."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack
from pathlib import Path

import cv2
import forked
import numpy as np
import pytest
from camera_process import LONG, camera_nodes, command, values
from camera_servers import rtsp_server
from diagnostic_msgs.msg import DiagnosticArray
from edgecam_camera.node import CameraNode
from edgecam_core.camera import calibration
from edgecam_core.camera.capture import Camera
from edgecam_core.camera.settings import CameraSettings
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from ros_peer import Peer
from sensor_msgs.msg import CameraInfo
from sensor_msgs.srv import SetCameraInfo
from std_srvs.srv import SetBool, Trigger
from waiting import wait_until


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ExitStack]:
    monkeypatch.setenv("ROS_HOME", str(tmp_path / "ros_home"))
    with ExitStack() as stack:
        yield stack


def wait_for_stream(peer: Peer) -> list[DiagnosticArray]:
    """Wait until the node streams; returns its growing list of diagnostics."""
    reports: list[DiagnosticArray] = peer.collect(DiagnosticArray, "/diagnostics")
    wait_until(lambda: reports and reports[-1].status[0].message == "streaming", LONG, "a camera that delivers")
    return reports


def record(peer: Peer, on: bool) -> SetBool.Response:
    return peer.call(SetBool, "/camera/camera_driver/record", SetBool.Request(data=on), LONG)


def frames(path: Path) -> tuple[int, np.ndarray]:
    """The number of frames that OpenCV (not our own code) reads from a video, and the last one."""
    video, count, last = cv2.VideoCapture(str(path)), 0, np.empty(0)
    while True:
        ok, frame = video.read()
        if not ok:
            return count, last
        count, last = count + 1, frame


def test_a_snapshot_is_the_frame_with_its_stamp(peer: Peer, stack: ExitStack, tmp_path: Path) -> None:
    stack.enter_context(camera_nodes())(
        source="test://red", image_width=64, image_height=48, output_directory=str(tmp_path / "out")
    )
    wait_for_stream(peer)
    answer = peer.call(Trigger, "/camera/camera_driver/snapshot", Trigger.Request(), LONG)
    assert answer.success, answer.message
    path = Path(answer.message)
    assert path.parent == tmp_path / "out"
    assert path.name.startswith("camera_2")
    assert path.name.endswith("Z.png")
    assert np.abs(cv2.imread(str(path)).astype(int) - [0, 0, 255]).max() <= 2


@pytest.mark.parametrize("container", ["mkv", "mp4"])
def test_a_raw_source_is_recorded_and_split(peer: Peer, stack: ExitStack, tmp_path: Path, container: str) -> None:
    stack.enter_context(camera_nodes())(
        source="test://red", image_width=64, image_height=48, output_directory=str(tmp_path), record_format=container,
        record_split_seconds=1.0,
    )  # fmt: skip
    reports = wait_for_stream(peer)
    assert record(peer, True).success
    assert not record(peer, True).success  # one at a time
    wait_until(lambda: reports and written(reports[-1]) >= 75, LONG, "two and a half seconds of recording")
    answer = record(peer, False)
    assert answer.success, answer.message
    files = [Path(name) for name in answer.message.split(", ")]
    assert len(files) >= 2
    counts = [frames(path) for path in files]
    assert sum(count for count, _ in counts) >= 75
    assert np.abs(counts[0][1][24, 32].astype(int) - [0, 0, 255]).max() <= 8
    assert not record(peer, False).success


def written(report: DiagnosticArray) -> int:
    return int(values(report).get("recording", "0").split()[0].replace("no", "0"))


def test_a_coded_source_is_recorded_without_transcoding_and_survives_a_crash(
    peer: Peer, stack: ExitStack, tmp_path: Path
) -> None:
    server = stack.enter_context(rtsp_server())
    settings = {
        "source": f"rtsp://127.0.0.1:{server.port}/live",
        "rtsp_transport": "tcp",
        "output_directory": str(tmp_path / "out"),
    }
    node = forked.Popen(command("/camera", settings), start_new_session=True)
    stack.callback(node.wait)
    stack.callback(node.kill)
    reports = wait_for_stream(peer)
    assert record(peer, True).success
    wait_until(lambda: reports and written(reports[-1]) >= 60, LONG, "some recording")
    os.killpg(node.pid, signal.SIGKILL)
    node.wait()
    paths = sorted((tmp_path / "out").glob("*.mkv"))
    assert paths[0].read_bytes().find(b"V_MPEG4/ISO/AVC") > 0  # H.264 as sent by the server, not transcoded
    assert sum(frames(path)[0] for path in paths) >= 55


def test_a_folder_that_cannot_be_written_is_reported(peer: Peer, stack: ExitStack, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    stack.enter_context(camera_nodes())(output_directory=str(tmp_path / "taken"), image_width=64, image_height=48)
    wait_for_stream(peer)
    answer = record(peer, True)
    assert not answer.success
    assert "'output_directory'" in answer.message
    answer = peer.call(Trigger, "/camera/camera_driver/snapshot", Trigger.Request(), LONG)
    assert not answer.success
    assert "set output_directory" in answer.message


def test_a_full_disk_ends_the_recording_but_not_the_camera(peer: Peer, stack: ExitStack, tmp_path: Path) -> None:
    node = stack.enter_context(camera_nodes())(
        source="test://snow", image_width=320, image_height=240, output_directory=str(tmp_path)
    )
    reports = wait_for_stream(peer)
    assert record(peer, True).success
    wait_until(lambda: written(reports[-1]) >= 5, LONG, "some recording")
    # The kernel refuses to extend its files, like a full disk.
    resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    bad = wait_until(
        lambda: "the recording has ended" in reports[-1].status[0].message and reports[-1], LONG, "the error"
    )
    assert bad.status[0].level == b"\x02"
    assert values(bad)["recording"].startswith("error: ")
    answer = peer.call(Trigger, "/camera/camera_driver/snapshot", Trigger.Request(), LONG)
    assert not answer.success
    assert "set output_directory" in answer.message
    assert not list(tmp_path.glob("*.part"))
    answer = record(peer, False)
    assert not answer.success
    assert "wrote" in answer.message
    delivered = int(values(bad)["frames"])
    wait_until(lambda: int(values(reports[-1])["frames"]) > delivered + 10, LONG, "more frames")
    wait_until(lambda: reports[-1].status[0].message == "streaming", LONG, "a good report")


def test_a_bayer_mosaic_is_not_recorded(peer: Peer, stack: ExitStack, tmp_path: Path) -> None:
    stack.enter_context(camera_nodes())(
        image_encoding="bayer_rggb8", image_width=64, image_height=48, output_directory=str(tmp_path)
    )
    wait_for_stream(peer)
    answer = record(peer, True)
    assert not answer.success
    assert "'image_encoding' is 'bayer_rggb8'" in answer.message


def outcome(waiting: Coroutine[None, None, Trigger.Response]) -> Trigger.Response:
    """The result of a coroutine that is resumed to its end."""
    while True:
        try:
            waiting.send(None)
        except StopIteration as end:
            return end.value


def test_other_callbacks_run_while_a_snapshot_waits() -> None:
    node = CameraNode(parameter_overrides=[Parameter("autostart", value=False)], namespace="/waiting")
    try:
        node.trigger_configure()
        files = node._files
        files.camera = Camera(CameraSettings(), lambda _frame: None)  # not started: no frame arrives
        answer = files._on_snapshot(Trigger.Request(), Trigger.Response())
        for _ in range(3):
            assert answer.send(None) is None  # releases the executor
        files.close()
        assert outcome(answer).message.startswith("no frame arrived")
    finally:
        node.destroy_node()


def test_a_calibration_is_saved_scaled_and_used(peer: Peer, stack: ExitStack, tmp_path: Path) -> None:
    infos: list[CameraInfo] = peer.collect(CameraInfo, "/camera/camera_info")
    path = tmp_path / "camera.yaml"
    k, r = (500.0, 0, 320, 0, 500, 240, 0, 0, 1), (1.0, 0, 0, 0, 1, 0, 0, 0, 1)
    p = (500.0, 0, 320, 0, 0, 500, 240, 0, 0, 0, 1, 0)
    made = calibration.Calibration(640, 480, "plumb_bob", (0.1, 0, 0, 0, 0), k, r, p)
    calibration.save(made, path, "camera")
    stack.enter_context(camera_nodes())(
        camera_info_url=f"file://{path}", image_width=320, image_height=240, crop_left=20, crop_top=10
    )
    wait_until(lambda: infos, LONG, "camera_info")
    info = infos[-1]
    assert list(info.k) == [250.0, 0.0, 160.0, 0.0, 250.0, 120.0, 0.0, 0.0, 1.0]
    assert (info.width, info.height, info.distortion_model) == (320, 240, "plumb_bob")
    assert (info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height) == (20, 10, 300, 230)

    fresh = CameraInfo(width=320, height=240, distortion_model="plumb_bob", d=[0.0] * 5, k=[99.0] * 9, p=[1.0] * 12)
    answer = peer.call(SetCameraInfo, "/camera/set_camera_info", SetCameraInfo.Request(camera_info=fresh), LONG)
    assert answer.success, answer.status_message
    wait_until(lambda: infos[-1].k[0] == 99.0, LONG, "the new calibration")
    assert calibration.load(path, "x").width == 320
    fresh.height = 100
    answer = peer.call(SetCameraInfo, "/camera/set_camera_info", SetCameraInfo.Request(camera_info=fresh), LONG)
    assert not answer.success
    assert "another aspect ratio" in answer.status_message


def test_a_calibration_follows_the_turned_frame(peer: Peer, stack: ExitStack, tmp_path: Path) -> None:
    infos: list[CameraInfo] = peer.collect(CameraInfo, "/camera/camera_info")
    path = tmp_path / "camera.yaml"
    k = (500.0, 0.0, 300.0, 0.0, 500.0, 250.0, 0.0, 0.0, 1.0)
    calibration.save(calibration.Calibration(640, 480, "plumb_bob", (0.0,) * 5, k), path, "camera")
    stack.enter_context(camera_nodes())(
        camera_info_url=f"file://{path}", image_width=640, image_height=480, flip_method="rotate-180"
    )
    wait_until(lambda: infos, LONG, "camera_info")
    assert infos[-1].k[0] == 0.0, "the file does not state the orientation of its frames"

    sent = CameraInfo(width=640, height=480, distortion_model="plumb_bob", d=[0.0] * 5, k=list(k), p=[1.0] * 12)
    answer = peer.call(SetCameraInfo, "/camera/set_camera_info", SetCameraInfo.Request(camera_info=sent), LONG)
    assert answer.success, answer.status_message
    wait_until(lambda: list(infos[-1].k) == list(k), LONG, "the calibration of the turned frames")
    assert calibration.load(path, "x").view == "rotate-180"
    request = SetParameters.Request(parameters=[Parameter("flip_method", value="none").to_parameter_msg()])
    assert peer.call(SetParameters, "/camera/camera_driver/set_parameters", request, LONG).results[0].successful
    wait_until(lambda: infos[-1].k[2] == 639.0 - 300.0, LONG, "the calibration of the frames as they are")
    assert infos[-1].k[5] == 479.0 - 250.0


def test_a_calibration_for_another_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    calibration.save(calibration.Calibration(640, 480), path, "camera")
    settings = {"camera_info_url": f"file://{path}", "image_width": 1280, "image_height": 720}
    done = forked.run(command("/camera", settings), capture_output=True, text=True, timeout=LONG, check=False)
    assert done.returncode == 1
    assert "is for 640x480, the frame is 1280x720: another aspect ratio" in done.stderr
