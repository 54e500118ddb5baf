"""config/fastdds.xml is in force, and large images arrive whole and in order through it.

That every 1080p frame arrives at 30 Hz, which stock settings cannot do, is a row of `make bench`
(transport_share_1920x1080).
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from rclpy.qos import qos_profile_sensor_data
from ros_peer import Peer
from sensor_msgs.msg import Image
from waiting import wait_until

from benchmarks.support import environment, process

MIB = 2**20
# Publishes 1080p frames that are all of one grey, their number in frame_id, until it is stopped.
PUBLISHER = """
import itertools, time, rclpy
from sensor_msgs.msg import Image
rclpy.init()
publisher = rclpy.create_node("large").create_publisher(Image, "large", 5)
for number in itertools.count():
    image = Image(width=1920, height=1080, encoding="mono8", step=1920, data=bytes([number % 256]) * (1920 * 1080))
    image.header.frame_id = str(number)
    publisher.publish(image)
    time.sleep(1 / 30)
"""


def segments(pid: int) -> list[int]:
    """The sizes of the shared memory segments of a process, in bytes."""
    paths = {
        line.split()[-1]
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines()
        if re.search("/fast(dds|rtps)_", line)
    }
    return [Path(path).stat().st_size for path in paths if Path(path).exists()]


def test_1080p_frames_arrive_whole_and_in_order_through_a_large_segment(peer: Peer) -> None:
    images: list[Image] = peer.collect(Image, "large", qos_profile_sensor_data)
    domain = {"ROS_DOMAIN_ID": str(peer.node.context.get_domain_id())}
    with process([sys.executable, "-c", PUBLISHER], environment() | domain, stderr=subprocess.STDOUT) as publisher:
        wait_until(lambda: len(images) >= 30, 120, "30 frames")
        assert max(segments(publisher.pid)) > 64 * MIB  # stock settings: 0.5 MiB
    numbers = [int(image.header.frame_id) for image in images]
    assert numbers == sorted(set(numbers))
    for image, number in zip(images, numbers, strict=True):
        assert np.all(np.frombuffer(image.data, np.uint8) == number % 256)
