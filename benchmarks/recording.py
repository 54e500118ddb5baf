"""Recordings: the recorder's CPU time per frame, and whether a replay gives the same detections."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from edgecam_core.images.inputs import read_inputs
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.recording.bag import Bag
from edgecam_core.recording.message import Message, Topic
from edgecam_core.recording.recorder import Recorder
from edgecam_core.recording.settings import RecorderSettings
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from benchmarks.row import Row
from benchmarks.store import ROOT

CLIP = ROOT / "media" / "animals.mp4"
SIZE, RATE, SECONDS = (1920, 1080), 30, 5
REPLAYED = 75  # frames
_STORE = get_typestore(Stores.ROS2_JAZZY)
_IMAGE, _COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"


def rows() -> list[Row]:
    made = [
        Row(
            f"recording_cpu_{name}_1920x1080",
            f"CPU time of recording one 1920x1080 frame ({what}) at {RATE} Hz as MCAP with {compression}",
            "ms",
            "the writer of rosbags, MCAP with zstd",
            partial(recorder_cost, kind, compression),
            partial(rosbags_cost, kind),
            label=f"Recording a 1080p frame ({what}, {compression})",
        )
        for name, kind, what, compression in (
            ("raw", _IMAGE, "bgr8", "zstd"),
            ("raw_lz4", _IMAGE, "bgr8", "lz4"),
            ("jpeg", _COMPRESSED, "JPEG", "zstd"),
        )
    ]
    made.append(
        Row(
            "recording_replay_identical",
            "frames with bit-identical detections when a recording is replayed twice",
            "%",
            "the same clip played twice in real time as file://",
            replay_identical,
            live_identical,
            better="higher",
            aim=1.0,
            label="Detections identical in a second replay",
        )
    )
    return made


def clip_frames(size: tuple[int, int] | None = None) -> Iterator[np.ndarray]:
    """Frames of the demo clip, bgr8."""
    video = cv2.VideoCapture(str(CLIP))
    while (read := video.read())[0]:
        yield cv2.resize(read[1], size, interpolation=cv2.INTER_CUBIC) if size else read[1]


def messages(kind: str, count: int, size: tuple[int, int] | None) -> list[Message]:
    """Serialised frames of the clip at RATE."""
    definition, _ = _STORE.generate_msgdef(kind, ros_version=2)
    topic = Topic("/camera/image_raw", kind, "", _STORE.hash_rihs01(kind), definition)
    made = []
    for number, pixels in enumerate(itertools.islice(clip_frames(size), count)):
        stamp = 1_700_000_000_000_000_000 + number * 1_000_000_000 // RATE
        made.append(Message(topic, stamp, stamp, _serialised(kind, pixels, stamp)))
    return made


def _serialised(kind: str, pixels: np.ndarray, stamp_ns: int) -> bytes:
    time_type, header_type = _STORE.types["builtin_interfaces/msg/Time"], _STORE.types["std_msgs/msg/Header"]
    header = header_type(time_type(*divmod(stamp_ns, 1_000_000_000)), "camera_optical_frame")
    if kind == _IMAGE:
        height, width = pixels.shape[:2]
        message = _STORE.types[kind](header, height, width, "bgr8", 0, pixels.strides[0], pixels.reshape(-1))
    else:
        message = _STORE.types[kind](header, "jpeg", cv2.imencode(".jpg", pixels)[1].reshape(-1))
    return bytes(_STORE.serialize_cdr(message, kind))


def cost(kind: str, write: Callable[[Message], object], close: Callable[[], object]) -> float:
    """Milliseconds of CPU time per frame, over all threads, with frames at RATE; blocks for SECONDS."""
    made = messages(kind, RATE, SIZE)
    begin, cpu = time.monotonic(), time.process_time()
    for number in range(RATE * SECONDS):
        time.sleep(max(0.0, begin + number / RATE - time.monotonic()))
        write(made[number % len(made)])
    close()
    return 1000 * (time.process_time() - cpu) / (RATE * SECONDS)


def recorder_cost(kind: str, compression: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(RecorderSettings(min_free_megabytes=0.0, queue_megabytes=2000.0, compression=compression))
        recorder.start(Path(folder) / "bag")
        found = cost(kind, recorder.write, recorder.close)
        if recorder.messages != RATE * SECONDS:
            raise RuntimeError(f"{recorder.messages} of {RATE * SECONDS} frames were recorded: {recorder.problem}")
        return found


def rosbags_cost(kind: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        writer = Writer(Path(folder) / "bag", version=9, storage_plugin=StoragePlugin.MCAP)
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        writer.open()
        connection = writer.add_connection("/camera/image_raw", kind, typestore=_STORE)
        return cost(kind, lambda message: writer.write(connection, message.log_ns, message.data), writer.close)


def detections(source: str, count: int) -> dict[str, bytes]:
    """The default model's detections in each of the first ``count`` frames, by frame number."""
    detector = Detector.open(DetectorSettings(confidence_threshold=0.2))
    images = read_inputs([source])
    try:
        found: dict[str, bytes] = {}
        for item in itertools.islice(images, count):
            if item.frame is not None:
                seen = detector.detect(item.frame)
                found[item.stem] = seen.boxes.tobytes() + seen.scores.tobytes() + seen.class_ids.tobytes()
        return found
    finally:
        images.close()
        detector.close()


def identical(source: str) -> float:
    first, second = (detections(source, REPLAYED) for _ in range(2))
    return 100 * sum(second.get(name) == value for name, value in first.items()) / max(1, len(first))


def replay_identical() -> float:
    with tempfile.TemporaryDirectory() as folder:
        bag = Bag(Path(folder) / "clip.mcap", RecorderSettings(min_free_megabytes=0.0))
        for message in messages(_IMAGE, REPLAYED, None):
            bag.write(message)
        bag.close()
        return identical(f"mcap://{bag.path}")


def live_identical() -> float:
    return identical(f"file://{CLIP}")
