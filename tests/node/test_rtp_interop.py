"""The RTP nodes over real DDS and real UDP: with each other, and with gst-launch-1.0 at either end."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from edgecam_camera.node import CameraNode
from edgecam_ros.conversions import image_from_ros, image_to_ros, ns_from_stamp
from edgecam_ros.node import EdgecamNode
from edgecam_ros.qos import image_qos
from edgecam_rtp.receiver_node import ReceiverNode
from edgecam_rtp.sender_node import SenderNode
from network import free_udp_port
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from ros_peer import Peer
from rtp_scene import HEIGHT, WIDTH, frame, index_of, sending
from running import running
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger
from waiting import wait_until

CAPS = '"application/x-rtp,media=video,clock-rate=90000,encoding-name=H265,payload=96"'


def make(kind: Callable[..., EdgecamNode], namespace: str, **values: Any) -> EdgecamNode:
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    return kind(namespace=namespace, parameter_overrides=overrides)


@contextmanager
def command(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(" ".join(words), shell=True, start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        import os
        import signal

        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(120)


class Source:
    """Publishes numbered frames at 30 Hz until closed; the stamps are irregular and match no clock."""

    def __init__(self, peer: Peer, topic: str, width: int = WIDTH, height: int = HEIGHT) -> None:
        self.publisher = peer.node.create_publisher(Image, topic, image_qos())
        self.size = (width, height)
        self.stamps: dict[int, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        wait_until(self.publisher.get_subscription_count, what=f"a subscriber of {topic}")
        self._thread.start()

    def _run(self) -> None:
        index = 0
        while not self._stop.wait(1 / 30):
            index += 1
            made = frame(index, *self.size)
            self.stamps[made.stamp_ns] = index
            self.publisher.publish(image_to_ros(made))

    def close(self) -> None:
        self._stop.set()
        self._thread.join(60)


@pytest.fixture
def source(peer: Peer) -> Iterator[Callable[..., Source]]:
    made: list[Source] = []

    def start(topic: str, width: int = WIDTH, height: int = HEIGHT) -> Source:
        made.append(Source(peer, topic, width, height))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.mark.parametrize("values", [{"frame_id": "far_optical_frame"}, {"camera_name": "far"}], ids=str)
def test_the_received_frame_has_the_stamp_of_the_frame_that_was_sent(
    peer: Peer, source: Callable[..., Source], tmp_path: Path, values: dict[str, str]
) -> None:
    port, sdp = free_udp_port(), tmp_path / "stream.sdp"
    images = peer.collect(Image, "/camera/stream/image_raw", image_qos())
    infos = peer.collect(CameraInfo, "/camera/stream/camera_info", image_qos())
    with (
        running(make(ReceiverNode, "/camera/stream", port=port, **values)),
        running(make(SenderNode, "/camera", port=port, sdp_file=str(sdp))),
    ):
        sent = source("/camera/image_raw")
        wait_until(lambda: len(images) >= 20 and len(infos) >= 20, what="twenty frames")
    for message in list(images):
        stamp = ns_from_stamp(message.header.stamp)
        assert index_of(image_from_ros(message).bgr()) == sent.stamps[stamp] % 256
        assert message.header.frame_id == "far_optical_frame"
        assert (message.width, message.height, message.encoding, message.step) == (WIDTH, HEIGHT, "bgr8", 3 * WIDTH)
    assert {ns_from_stamp(info.header.stamp) for info in infos} <= set(sent.stamps)
    assert infos[0].k[0] == 0
    assert "sprop-vps=" in sdp.read_text()


@pytest.mark.parametrize("raw", ["video/x-raw,format=I420,width=320,height=240,framerate=30/1",
                                 "video/x-raw,width=320,height=240,framerate=30/1"])  # fmt: skip
def test_a_stream_of_gst_launch_is_received(peer: Peer, raw: str) -> None:
    port = free_udp_port()
    images = peer.collect(Image, "/camera/image_raw", image_qos())
    with (
        running(make(ReceiverNode, "/camera", port=port)),
        command(
            f"exec gst-launch-1.0 -q videotestsrc is-live=true pattern=smpte ! '{raw}' ! "
            "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=30 bitrate=1000 ! h265parse ! "
            f"rtph265pay config-interval=1 ! udpsink host=127.0.0.1 port={port} sync=false"
        ),
    ):
        wait_until(lambda: len(images) >= 10, what="ten frames")
        report = wait_until(lambda: _values(peer, "camera/rtp_receiver"), what="diagnostics")
    bgr = image_from_ros(images[-1]).bgr()
    assert bgr.shape == (240, 320, 3)
    bars = bgr[60, [20, 66, 112, 158, 204, 250, 300]].astype(int)  # white, yellow, cyan, green, magenta, red, blue
    assert bars[0].min() > 180
    assert bars[5][2] > 150
    assert bars[5][0] < 40
    assert bars[6][0] > 150
    assert bars[6][2] < 40
    assert abs(ns_from_stamp(images[-1].header.stamp) - time.time_ns()) < 60e9
    assert report["stamp_source"] in ("arrival", "rtcp")


def test_gst_launch_receives_what_the_sender_sends(peer: Peer, source: Callable[..., Source], tmp_path: Path) -> None:
    port = free_udp_port()
    with running(make(SenderNode, "/camera", port=port)):
        source("/camera/image_raw")
        with command(
            f"exec gst-launch-1.0 -q udpsrc port={port} caps={CAPS} ! rtpjitterbuffer latency=50 ! rtph265depay ! "
            f"h265parse ! avdec_h265 ! videoconvert ! jpegenc ! multifilesink location={tmp_path}/%03d.jpg"
        ):
            wait_until(lambda: len(list(tmp_path.glob("*.jpg"))) >= 21, what="twenty frames")
    numbers = [index_of(cv2.imread(str(path))) for path in sorted(tmp_path.glob("*.jpg"))[:20]]
    assert (np.diff(numbers) % 256).min() >= 1  # the numbers have eight bits


def test_a_new_frame_size_is_followed(peer: Peer, source: Callable[..., Source]) -> None:
    port = free_udp_port()
    images = peer.collect(Image, "/camera/stream/image_raw", image_qos())
    with (
        running(make(ReceiverNode, "/camera/stream", port=port)),
        running(make(SenderNode, "/camera", port=port)),
    ):
        first = source("/camera/image_raw")
        wait_until(lambda: len(images) >= 5, what="the first size")
        first.close()
        source("/camera/image_raw", 480, 270)
        wait_until(lambda: images[-1].width == 480, what="the second size")
    assert {(image.width, image.height, len(image.data)) for image in images} == {
        (320, 240, 320 * 240 * 3),
        (480, 270, 480 * 270 * 3),
    }


def test_a_keyframe_and_another_bitrate_on_request(peer: Peer, source: Callable[..., Source]) -> None:
    with running(make(SenderNode, "/camera", port=free_udp_port(), keyframe_interval=3000)) as node:
        source("/camera/image_raw")
        wait_until(lambda: node._sender.stats().frames_sent > 5)
        assert node._sender.stats().keyframes == 1
        answer = peer.call(Trigger, "/camera/rtp_sender/force_keyframe", Trigger.Request())
        assert answer.success
        wait_until(lambda: node._sender.stats().keyframes == 2, what="the keyframe")
        set_parameter(peer, "/camera/rtp_sender", "bitrate", 500_000)
        before = node._sender.stats().frames_sent
        wait_until(lambda: node._sender.stats().frames_sent > before + 5, what="frames after the change")


def test_direct_mode_takes_the_frames_of_the_camera_in_the_same_process(peer: Peer) -> None:
    port = free_udp_port()
    received = peer.collect(Image, "/camera/stream/image_raw", image_qos())
    with (
        running(make(ReceiverNode, "/camera/stream", port=port)),
        running(make(CameraNode, "/camera", source="test://smpte", image_width=320, image_height=240)),
        running(make(SenderNode, "/camera", port=port)) as sender,
    ):
        wait_until(lambda: len(received) >= 5, what="frames over RTP")
        assert peer.node.count_subscribers("/camera/image_raw") == 0
        raw = peer.collect(Image, "/camera/image_raw", image_qos())
        wait_until(lambda: len(raw) >= 5, what="frames on the topic too, once it has a subscriber")
        stamps = {ns_from_stamp(message.header.stamp) for message in raw}
        wait_until(lambda: stamps & {ns_from_stamp(m.header.stamp) for m in received}, what="equal stamps")
        assert abs(ns_from_stamp(received[-1].header.stamp) - time.time_ns()) < 60e9
        set_parameter(peer, "/camera/camera_driver", "image_width", 160)
        wait_until(lambda: (received[-1].width, received[-1].height) == (160, 240), what="the camera's new setting")
        set_parameter(peer, "/camera/rtp_sender", "bitrate", 500_000)
        assert sender.settings.bitrate == 500_000


def set_parameter(peer: Peer, node: str, name: str, value: object) -> None:
    message = Parameter(name, value=value).to_parameter_msg()
    answer = peer.call(SetParameters, f"{node}/set_parameters", SetParameters.Request(parameters=[message]))
    assert answer.results[0].successful, answer.results[0].reason


def test_a_port_in_use_ends_the_receiver_with_an_error_that_names_it(peer: Peer) -> None:
    port = free_udp_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as occupied:
        occupied.bind(("0.0.0.0", port))
        node = make(ReceiverNode, "/camera", port=port)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        thread = threading.Thread(target=executor.spin, daemon=True)
        thread.start()
        assert node.ended.wait(120)
        executor.shutdown()
        thread.join(60)
        assert str(node.failure) == (
            f"parameter 'port' is {port}: is in use by another program; stop it or choose a free port"
        )
        assert node.exit_code == 1
        node.destroy_node()


def test_silence_is_reported(peer: Peer) -> None:
    port = free_udp_port()
    with running(make(ReceiverNode, "/camera", port=port)):
        arrays = peer.collect(DiagnosticArray, "/diagnostics")
        wait_until(
            lambda: any(f"no stream on UDP port {port}" in s.message for a in arrays for s in a.status),
            what="the warning",
        )


@pytest.mark.parametrize(
    ("senders", "reported"),
    [
        ([{"codec": "h264", "mtu": 200}], "no H.265 frame in"),
        ([{"payload_type": 98}], "x payload type 98 instead of 96"),
        ([{}, {}], "x of a second sender"),
    ],
    ids=["another codec", "another payload type", "two senders"],
)
def test_the_problem_of_a_stream_is_reported(peer: Peer, senders: list[dict[str, object]], reported: str) -> None:
    port = free_udp_port()
    with running(make(ReceiverNode, "/camera", port=port)), ExitStack() as stack:
        arrays = peer.collect(DiagnosticArray, "/diagnostics")
        for values in senders:
            stack.enter_context(sending(port, **values))
        wait_until(
            lambda: any(reported in status.message for each in arrays for status in each.status), what="the report"
        )


def test_an_adaptive_sender_reports_its_three_bitrates(peer: Peer, source: Callable[..., Source]) -> None:
    port = free_udp_port()
    sender = make(SenderNode, "/camera", port=port, bitrate=1_000_000, bitrate_min=200_000)
    with running(sender), running(make(ReceiverNode, "/far", port=port)):
        source("/camera/image_raw")

        def rates() -> list[float] | None:
            values = _values(peer, "camera/rtp_sender")
            found = [values[f"{name}_bitrate"] for name in ("target", "sent", "estimated")]
            known = [float(rate) for rate in found if rate != "-"]
            return known if len(known) == 3 and min(known) > 0 else None

        target, _, _ = wait_until(rates, what="three bitrates")
        assert 200_000 <= target <= 1_000_000


def _values(peer: Peer, name: str) -> dict[str, str]:
    """The newest diagnostic values of a node that has frames."""
    arrays = peer.collect(DiagnosticArray, "/diagnostics")
    wait_until(lambda: any(status.name == name for each in arrays for status in each.status), what="diagnostics")
    status = [status for each in arrays for status in each.status if status.name == name][-1]
    return {pair.key: pair.value for pair in status.values}
