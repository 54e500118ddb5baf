"""Every source that can run here, over real DDS: pixels, step, stamps and camera info of the messages."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest
from camera_process import LONG, camera_nodes, values
from camera_servers import hls_server, mjpeg_server, red_jpeg, rtp_sender, rtsp_server
from clips import make_clip
from diagnostic_msgs.msg import DiagnosticArray
from network import free_udp_port
from rclpy.qos import qos_profile_sensor_data
from ros_peer import Peer
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from waiting import wait_until


def red_folder(path: Path) -> Path:
    path.mkdir()
    pixels = np.full((120, 163, 3), (0, 0, 255), np.uint8)
    for index in range(3):
        cv2.imwrite(str(path / f"{index}.png"), pixels)
    (path / "damaged.png").write_bytes(b"no frame")
    return path


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def begin(name: str, stack: ExitStack, folder: Path) -> tuple[dict[str, object], tuple[int, int]]:
    """Start the server of a source; returns the node's settings and the size of the frames."""
    if name == "rtsp":
        server = stack.enter_context(rtsp_server("me", "se:cr@t"))
        return {"source": f"rtsp://me:se%3Acr%40t@127.0.0.1:{server.port}/live", "rtsp_transport": "tcp"}, (320, 240)
    if name == "rtp":
        port = free_udp_port()
        stack.enter_context(rtp_sender(port))
        return {"source": f"rtp://@:{port}", "rtp_codec": "h265"}, (320, 240)
    if name == "http":
        port = stack.enter_context(mjpeg_server(red_jpeg()))
        return {"source": f"http://127.0.0.1:{port}/stream"}, (160, 120)
    if name == "hls":
        port = stack.enter_context(hls_server(folder))
        return {"source": f"http://127.0.0.1:{port}/live.m3u8"}, (160, 120)
    if name == "file":
        clip = make_clip(folder / "red.mp4", pattern="red", size=(322, 242))
        return {"source": f"file://{clip}", "loop": True}, (322, 242)
    if name == "folder":
        return {"source": f"file://{red_folder(folder / 'frames')}", "loop": True, "framerate": 20.0}, (163, 120)
    if name == "frame":
        return {"source": f"file://{red_folder(folder / 'frames')}/1.png", "framerate": 20.0}, (163, 120)
    text = "videotestsrc is-live=true pattern=red ! video/x-raw,width=322,height=64 ! videoflip video-direction=vert"
    return {"source": f"pipeline:{text}"}, (322, 64)


@pytest.mark.parametrize("name", ["rtsp", "rtp", "http", "hls", "file", "folder", "frame", "pipeline"])
def test_a_source_delivers_whole_frames(peer: Peer, stack: ExitStack, tmp_path: Path, name: str) -> None:
    settings, (width, height) = begin(name, stack, tmp_path)
    images: list[Image] = peer.collect(Image, "/camera/image_raw", qos_profile_sensor_data)
    infos: list[CameraInfo] = peer.collect(CameraInfo, "/camera/camera_info")
    start = stack.enter_context(camera_nodes())
    start(**settings)
    wait_until(lambda: len(images) >= 8 and len(infos) >= 8, LONG, "frames")
    image = images[-1]
    assert (image.width, image.height, image.step, image.encoding) == (width, height, width * 3, "bgr8")
    assert len(image.data) == image.step * height
    pixels = np.frombuffer(image.data, np.uint8).reshape(height, width, 3).astype(int)
    assert np.abs(pixels - [0, 0, 255]).max() <= 6
    stamps = [one.header.stamp.sec * 10**9 + one.header.stamp.nanosec for one in images]
    assert np.all(np.diff(stamps) > 0)
    assert 0 < peer.node.get_clock().now().nanoseconds - stamps[-1] < 10e9
    assert {one.header.stamp.nanosec for one in infos} & {one.header.stamp.nanosec for one in images}
    assert (infos[-1].width, infos[-1].height) == (width, height)


def test_a_cameras_own_jpeg_is_passed_through_byte_by_byte(peer: Peer, stack: ExitStack) -> None:
    jpeg = red_jpeg()
    port = stack.enter_context(mjpeg_server(jpeg))
    compressed: list[CompressedImage] = peer.collect(CompressedImage, "/camera/image_raw/compressed")
    stack.enter_context(camera_nodes())(source=f"http://127.0.0.1:{port}/")
    wait_until(lambda: compressed, LONG, "a compressed frame")
    assert bytes(compressed[0].data) == jpeg
    assert compressed[0].format == "bgr8; jpeg compressed bgr8"


@pytest.mark.parametrize(
    ("encoding", "compression", "shape"),
    [("rgb8", "rgb8; jpeg compressed bgr8", (48, 64, 3)), ("mono8", "mono8; jpeg compressed ", (48, 64))],
)
def test_other_frames_are_compressed_here(
    peer: Peer, stack: ExitStack, encoding: str, compression: str, shape: tuple[int, ...]
) -> None:
    compressed: list[CompressedImage] = peer.collect(CompressedImage, "/camera/image_raw/compressed")
    start = stack.enter_context(camera_nodes())
    start(source="test://red", image_width=64, image_height=48, image_encoding=encoding)
    wait_until(lambda: compressed, LONG, "a compressed frame")
    assert compressed[0].format == compression
    pixels = cv2.imdecode(np.frombuffer(compressed[0].data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels.shape == shape
    assert np.abs(pixels[0, 0].astype(int) - ([0, 0, 255] if len(shape) == 3 else 76)).max() <= 6


def test_a_coded_stream_is_not_decoded_without_subscribers(peer: Peer, stack: ExitStack) -> None:
    server = stack.enter_context(rtsp_server())  # a keyframe every 12 frames
    reports: list[DiagnosticArray] = peer.collect(DiagnosticArray, "/diagnostics")
    stack.enter_context(camera_nodes())(source=f"rtsp://127.0.0.1:{server.port}/live", rtsp_transport="udp")

    def is_idle(report: DiagnosticArray) -> bool:
        return report.status[0].message == "streaming" and int(values(report).get("skipped", 0)) >= 30

    idle = wait_until(lambda: reports and is_idle(reports[-1]) and reports[-1], LONG, "a stream that is skipped")
    assert int(values(idle)["frames"]) <= int(values(idle)["skipped"]) / 5
    assert "decoder: auto → avdec_h264, because" in values(idle)["chosen"]
    images: list[Image] = peer.collect(Image, "/camera/image_raw", qos_profile_sensor_data)
    wait_until(lambda: len(images) >= 20, LONG, "frames")

    def is_decoded() -> bool:
        """Whether frames were delivered between two reports, and none was skipped."""
        counted = [(int(found.get("frames", 0)), found.get("skipped")) for found in map(values, reports[-10:])]
        return any(
            after >= before + 5 and skipped == skipped_before
            for (before, skipped_before), (after, skipped) in itertools.pairwise(counted)
        )

    wait_until(is_decoded, LONG, "every frame to be decoded")
