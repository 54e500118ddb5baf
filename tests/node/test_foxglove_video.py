"""The stream as ``foxglove_msgs/CompressedVideo``: published, recorded, replayed and cut into clips unchanged."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path

import forked
import numpy as np
import pytest
from ament_index_python.packages import get_package_share_directory
from edgecam_core.camera.capture import Camera
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.events.clips import jpeg_frames
from edgecam_core.events.index import EventIndex
from edgecam_core.media import gst, nal
from edgecam_core.media.codecs import codec
from edgecam_core.recording import image_messages
from edgecam_core.recording.reader import open_recording
from edgecam_core.types import Frame
from edgecam_events.node import EventsNode
from edgecam_recorder.node import RecorderNode
from edgecam_ros.conversions import image_from_ros, ns_from_stamp
from edgecam_ros.qos import image_qos
from edgecam_rtp.sender_node import SenderNode
from foxglove_msgs.msg import CompressedVideo
from network import free_udp_port
from rclpy.parameter import Parameter
from ros_peer import Peer
from running import running
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import SetBool
from viewer_scene import HEIGHT, WIDTH, ViewerScene, square
from waiting import DISCOVERY, wait_until

from edgecam_msgs.msg import Event

# The RIHS01 type hash (REP-2016) of upstream's definition, computed with rosbags.
UPSTREAM = "RIHS01_32039eafc3770e589c86c4dabff9c392ce9955ebffd43f5f60763011d43d8d1d"
EDGECAM = [sys.executable, "-c", "import sys; from edgecam_core.cli.main import main; sys.exit(main())"]


def test_type_hash_is_upstreams() -> None:
    described = Path(get_package_share_directory("foxglove_msgs")) / "msg" / "CompressedVideo.json"
    hashes = {h["type_name"]: h["hash_string"] for h in json.loads(described.read_text())["type_hashes"]}
    assert hashes["foxglove_msgs/msg/CompressedVideo"] == UPSTREAM


def sender(name: str = "h265", **more: object) -> SenderNode:
    given = {"codec": name, "port": free_udp_port(), "keyframe_interval": 3000, **more}
    overrides = [Parameter(key, value=value) for key, value in given.items()]
    return SenderNode(namespace="/camera", parameter_overrides=overrides)


@pytest.mark.parametrize("name", ["h265", "h264"])
def test_the_stream_can_be_decoded_from_its_first_message(peer: Peer, name: str) -> None:
    node = sender(name)
    with running(node), ViewerScene("/camera", fps=15):
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
    """The last frame, bgr8, from a new decoder."""
    row = codec(name)
    pipeline = gst.Pipeline(
        f"appsrc name=src format=time caps={row.media_type},stream-format=byte-stream,alignment=au ! {row.parser} ! "
        f"avdec_{name} ! videoconvert ! video/x-raw,format=BGR ! appsink name=sink sync=false"
    )
    pipeline.start(timeout=0.1)
    for index, message in enumerate(messages):
        pipeline.push(pipeline.new_buffer(np.frombuffer(bytes(message.data), np.uint8), index * 66_000_000))
    pipeline.element("src").emit("end-of-stream")
    newest = None
    while (sample := pipeline.pull(DISCOVERY)) is not None:
        with sample:
            newest = sample.data.reshape(sample.height, -1, 3).copy()
    pipeline.stop()
    assert newest is not None
    return newest


def test_the_stream_is_recorded_unchanged_and_replayed(peer: Peer, tmp_path: Path) -> None:
    raw: list[Image] = peer.collect(Image, "/camera/image_raw", image_qos(50))
    published: list[CompressedVideo] = peer.collect(CompressedVideo, "/camera/video", image_qos(50))
    values = {"directory": str(tmp_path), "min_free_megabytes": 0.0, "topics": ["video"]}
    overrides = [Parameter(key, value=value) for key, value in values.items()]
    with running(sender()), ViewerScene("/camera", fps=15):
        with running(RecorderNode(namespace="/camera", parameter_overrides=overrides)) as recorder:
            wait_until(lambda: recorder._recorder and recorder._recorder.messages > 25, what="recorded access units")
            path = Path(peer.call(SetBool, "/camera/recorder/record", SetBool.Request(data=False)).message)
        stored = list(open_recording(path).messages())
        units = [image_messages.video(one.data) for one in stored]
        wait_until(
            lambda: published and ns_from_stamp(published[-1].timestamp) >= units[-1].stamp_ns, what="the last of them"
        )
    assert {(one.topic.name, one.topic.type, one.topic.type_hash) for one in stored} == {
        ("/camera/video", "foxglove_msgs/msg/CompressedVideo", UPSTREAM)
    }
    sent = {ns_from_stamp(one.timestamp): bytes(one.data) for one in published}
    assert all(sent[one.stamp_ns] == one.data.tobytes() for one in units), "access units as they were sent"

    sources = {ns_from_stamp(one.header.stamp): image_from_ros(one).array() for one in raw}
    shown = frames_of_camera(f"mcap://{path}")
    assert len(shown) > 10
    for frame in shown:
        assert np.abs(frame.array().astype(int) - sources[frame.stamp_ns]).mean() < 8

    again: list[CompressedVideo] = peer.collect(CompressedVideo, "/again/camera/video", image_qos(200))
    command = [*EDGECAM, "replay", str(path), "--prefix", "/again", "--delay", "3"]

    def is_replayed() -> bool:
        """Plays again if the subscriber was discovered later than the delay."""
        again.clear()
        done = forked.run(command, capture_output=True, text=True, timeout=300)
        assert (done.returncode, done.stdout) == (0, f"{len(stored)} messages of 1 topics\n"), done.stderr
        with contextlib.suppress(pytest.fail.Exception):
            return wait_until(lambda: len(again) == len(stored), 10)
        return False

    wait_until(is_replayed, what="the replayed access units")
    assert [(ns_from_stamp(one.timestamp), bytes(one.data)) for one in again] == [
        (one.stamp_ns, one.data.tobytes()) for one in units
    ]


def frames_of_camera(source: str) -> list[Frame]:
    found: list[Frame] = []
    failures: list[Exception] = []
    settings = CameraSettings.from_mapping({"source": source, "realtime": False})
    camera = Camera(settings, lambda one: found.append(one.frame("bgr8")), on_failure=failures.append)
    camera.start()
    try:
        wait_until(lambda: failures or camera.status().state == "ended", what="the end of the recording")
    finally:
        camera.stop()
    assert not failures
    return found


@pytest.mark.parametrize("name", ["h265", "h264"])
def test_clips_of_events_are_cut_from_the_stream(peer: Peer, tmp_path: Path, name: str) -> None:
    published: list[CompressedVideo] = peer.collect(CompressedVideo, "/camera/video", image_qos(200))
    events: list[Event] = peer.collect(Event, "/camera/events", 50)
    infos = peer.node.create_publisher(CameraInfo, "/camera/camera_info", image_qos())
    given = {
        "events_directory": str(tmp_path), "zones": ["left: 0,0 0.3,0 0.3,1 0,1"], "clip": "video", "snapshots": False,
        "rules": ["tall: giraffe enters left"], "pre_roll": 1.0, "post_roll": 0.5, "min_free_megabytes": 0.0,
    }  # fmt: skip
    overrides = [Parameter(key, value=value) for key, value in given.items()]
    node = EventsNode(namespace="/camera", parameter_overrides=overrides)
    with running(sender(name, keyframe_interval=8)), running(node), ViewerScene("/camera", fps=15) as scene:
        scene.count = 70  # 60 frames before the square enters the zone
        buffered: list[int] = []  # since when, in nanoseconds

        def clip() -> tuple[Event, Path] | None:
            infos.publish(CameraInfo(width=WIDTH, height=HEIGHT))
            if not buffered and node._keeper is not None and node._keeper.footage.megabytes:
                buffered.append(node.get_clock().now().nanoseconds)
            begun = buffered[0] + 2_000_000_000 if buffered else sys.maxsize  # time for a pre-roll from a keyframe
            late = [one for one in events if one.state == "end" and ns_from_stamp(one.start) > begun]
            paths = [(one, EventIndex(tmp_path).path(one.id, "clip")) for one in late]
            return next(((one, path) for one, path in paths if path is not None), None)

        event, path = wait_until(clip, what="a clip")
    assert path.suffix == ".mp4"
    assert event.clip == str(path.relative_to(tmp_path))
    frames = list(jpeg_frames(path))
    times = [at for at, _ in frames]
    assert times == sorted(times)
    row = codec(name)
    sent = [(ns_from_stamp(one.timestamp), slices(bytes(one.data), name)) for one in published]
    cut = [slices(unit, name) for unit in units_of(path, name)]
    assert len(cut) == len(frames)  # how many depends on the frame rate that the machine allows
    first = next(index for index, (_, unit) in enumerate(sent) if unit == cut[0])
    assert any(row.is_keyframe(row.kind(unit)) for unit in cut[0])
    assert [unit for _, unit in sent[first : first + len(cut)]] == cut, (
        "the access units as they were sent, none missing"
    )
    begin, end = ns_from_stamp(event.start), ns_from_stamp(event.header.stamp)
    assert sent[first][0] <= begin - 900_000_000, "pre-roll"
    after = [stamp for stamp, _ in sent[first + len(cut) :]]
    assert not after or after[0] > end + 500_000_000, "the whole event and the post-roll"


def slices(unit: bytes, name: str) -> list[bytes]:
    """The VCL NAL units; parsers may move the parameter sets."""
    row = codec(name)
    return [one for one in nal.split(unit) if row.is_vcl(row.kind(one))]


def units_of(path: Path, name: str) -> list[bytes]:
    """The access units of an MP4 file, in Annex B format."""
    row = codec(name)
    pipeline = gst.Pipeline(
        f"filesrc location={gst.quoted(str(path))} ! qtdemux ! {row.parser} ! "
        f"{row.media_type},stream-format=byte-stream,alignment=au ! appsink name=sink sync=false"
    )
    pipeline.start()
    found = []
    while (sample := pipeline.pull(DISCOVERY)) is not None:
        with sample:
            found.append(sample.data.tobytes())
    pipeline.stop()
    return found
