"""The sender's stream as ``foxglove_msgs/CompressedVideo``: needs that package (``ros-$ROS_DISTRO-foxglove-msgs``)."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("foxglove_msgs", reason="needs foxglove_msgs")

from edgecam_core.media import gst, nal
from edgecam_core.media.codecs import codec
from edgecam_rtp.sender_node import SenderNode
from foxglove_msgs.msg import CompressedVideo
from network import free_udp_port
from rclpy.parameter import Parameter
from ros_peer import Peer
from running import running
from viewer_scene import Scene, square
from waiting import wait_until


@pytest.mark.parametrize("name", ["h265", "h264"])
def test_the_stream_can_be_decoded_from_its_first_message(peer: Peer, name: str) -> None:
    given = {"codec": name, "port": free_udp_port(), "keyframe_interval": 3000}
    overrides = [Parameter(key, value=value) for key, value in given.items()]
    node = SenderNode(namespace="/camera", parameter_overrides=overrides)
    with running(node), Scene("/camera", fps=15):
        wait_until(lambda: node._sender is not None and node._sender.stats().frames_sent > 5)
        messages = peer.collect(CompressedVideo, "/camera/video")
        wait_until(lambda: any(keyframe(one) for one in messages))
        first = next(i for i, one in enumerate(messages) if keyframe(one))
        wait_until(lambda: len(messages) > first + 10)
    taken = messages[first : first + 10]
    assert {one.format for one in taken} == {name}
    assert all(one.timestamp.sec > time.time() - 600 for one in taken)
    pixels = decoded(taken, name)
    near = np.abs(pixels.astype(int) - (40, 220, 250)).max(axis=2) < 40
    x1, y1, x2, y2 = square(0)
    assert near.sum() > 0.8 * (x2 - x1) * (y2 - y1), "the square is not in the frame"


def keyframe(message: CompressedVideo) -> bool:
    kinds = [codec(message.format).kind(unit) for unit in nal.split(bytes(message.data))]
    sets = codec(message.format).parameter_sets
    return any(map(codec(message.format).is_keyframe, kinds)) and set(sets) <= set(kinds)


def decoded(messages: list[CompressedVideo], name: str) -> np.ndarray:
    """The last frame, bgr8, by a decoder that has seen nothing before."""
    form = codec(name)
    pipeline = gst.Pipeline(
        f"appsrc name=src format=time caps={form.media_type},stream-format=byte-stream,alignment=au ! {form.parser} ! "
        f"avdec_{name} ! videoconvert ! video/x-raw,format=BGR ! appsink name=sink sync=false"
    )
    pipeline.start(timeout=0.1)
    for index, message in enumerate(messages):
        pipeline.push(pipeline.new_buffer(np.frombuffer(bytes(message.data), np.uint8), index * 66_000_000))
    pipeline.element("src").emit("end-of-stream")
    newest = None
    while (sample := pipeline.pull(10.0)) is not None:
        with sample:
            newest = sample.data.reshape(sample.height, -1, 3).copy()
    pipeline.stop()
    assert newest is not None
    return newest
