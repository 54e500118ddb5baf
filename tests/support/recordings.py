"""Recordings for tests. Messages are serialised by rosbags, an independent implementation of CDR."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from edgecam_core.recording import qos
from edgecam_core.recording.bag import Bag
from edgecam_core.recording.message import Message, Topic
from edgecam_core.recording.settings import RecorderSettings
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_JAZZY)
SECOND = 1_000_000_000
START_NS = 1_700_000_000 * SECOND
IMAGE_TYPE, COMPRESSED_TYPE = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
SETTINGS = RecorderSettings(min_free_megabytes=0.0)


def topic(name: str, type_name: str = IMAGE_TYPE, profile: qos.Qos | None = None) -> Topic:
    text, _ = STORE.generate_msgdef(type_name, ros_version=2)
    offered = qos.dump([profile or qos.Qos()])
    return Topic(name, type_name, offered, STORE.hash_rihs01(type_name), text, qos.is_latched(offered))


def header(stamp_ns: int, frame_id: str = "lens") -> Any:
    time = STORE.types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, SECOND))
    return STORE.types["std_msgs/msg/Header"](time, frame_id)


def image(
    pixels: np.ndarray, stamp_ns: int, encoding: str = "bgr8", *, little: bool = True, big_endian: int = 0
) -> bytes:
    height, width = pixels.shape[:2]
    step = pixels.strides[0]
    message = STORE.types[IMAGE_TYPE](header(stamp_ns), height, width, encoding, big_endian, step, pixels.reshape(-1))
    return bytes(STORE.serialize_cdr(message, IMAGE_TYPE, little_endian=little))


def compressed(data: bytes, stamp_ns: int, compression: str = "jpeg") -> bytes:
    message = STORE.types[COMPRESSED_TYPE](header(stamp_ns), compression, np.frombuffer(data, np.uint8))
    return bytes(STORE.serialize_cdr(message, COMPRESSED_TYPE))


def text(value: str) -> bytes:
    return bytes(STORE.serialize_cdr(STORE.types["std_msgs/msg/String"](value), "std_msgs/msg/String"))


def frames(count: int, width: int = 64, height: int = 48) -> list[np.ndarray]:
    """Frames with different content."""
    chance = np.random.default_rng(1)
    return [chance.integers(0, 255, (height, width, 3), np.uint8) for _ in range(count)]


def write(path: Path, messages: Sequence[Message], settings: RecorderSettings = SETTINGS) -> Path:
    """A complete recording."""
    bag = Bag(path, settings)
    for message in messages:
        bag.write(message)
    bag.close()
    return path


def image_messages(count: int, name: str = "/camera/image_raw", rate: float = 10.0) -> list[Message]:
    """Images at this rate; received 5 ms after their capture."""
    kind = topic(name)
    stamps = [START_NS + round(number * SECOND / rate) for number in range(count)]
    pairs = zip(frames(count), stamps, strict=True)
    return [Message(kind, stamp + 5_000_000, stamp + 1_000_000, image(pixels, stamp)) for pixels, stamp in pairs]
