"""The profiles config/fastdds*.xml are in effect, and large images arrive complete and in order.

That every 1080p frame arrives at 30 Hz, which stock settings cannot do, is a row of `make bench`
(transport_share_1920x1080).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ament_index_python.packages import get_package_prefix
from edgecam_core.distributions import profile_variable
from edgecam_ros.starting import apply_profile
from rclpy.qos import qos_profile_sensor_data
from ros_peer import Peer
from sensor_msgs.msg import Image
from waiting import wait_until

from benchmarks.support import environment, process

CONFIG = Path(__file__).parents[2] / "config"
MIB = 2**20
# Publishes grey frames of the given size, numbered in frame_id, until it is stopped.
PUBLISHER = """
import itertools, sys, time, rclpy
from sensor_msgs.msg import Image
rclpy.init()
publisher = rclpy.create_node("large").create_publisher(Image, "large", 5)
for number in itertools.count():
    width, height = map(int, sys.argv[1:])
    data = bytes([number % 256]) * (width * height)
    image = Image(width=width, height=height, encoding="mono8", step=width, data=data)
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


@pytest.mark.parametrize(
    ("profile", "size", "least", "most"),
    [("fastdds.xml", (1920, 1080), 40 * MIB, 50 * MIB), ("fastdds_small.xml", (640, 480), 8 * MIB, 9 * MIB)],
)
def test_frames_arrive_whole_and_in_order_and_the_segment_is_as_large_as_the_profile_says(
    peer: Peer, profile: str, size: tuple[int, int], least: int, most: int
) -> None:
    images: list[Image] = peer.collect(Image, "large", qos_profile_sensor_data)
    variables = environment() | {"ROS_DOMAIN_ID": str(peer.node.context.get_domain_id())}
    variables["FASTDDS_DEFAULT_PROFILES_FILE"] = str(CONFIG / profile)
    apply_profile(variables)
    with process([sys.executable, "-c", PUBLISHER, *map(str, size)], variables, stderr=subprocess.STDOUT) as publisher:
        wait_until(lambda: len(images) >= 30, 120, "30 frames")
        assert any(least < size < most for size in segments(publisher.pid))  # stock settings: 0.5 MiB
        threads = [path.read_text() for path in Path(f"/proc/{publisher.pid}/task").glob("*/comm")]
        assert not [name for name in threads if name.startswith("dds.tls.")]  # of the type lookup of Fast DDS 3
    taken = images[:]  # more may arrive meanwhile
    numbers = [int(image.header.frame_id) for image in taken]
    assert numbers == sorted(set(numbers))
    for image, number in zip(taken, numbers, strict=True):
        assert np.all(np.frombuffer(image.data, np.uint8) == number % 256)


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_sourced_shell_has_the_profile_unless_it_has_one_already(shell: str) -> None:
    bringup = Path(get_package_prefix("edgecam_bringup"))
    setup = next(one for one in (bringup / f"setup.{shell}", bringup.parent / f"setup.{shell}") if one.is_file())
    variable = profile_variable(os.environ["ROS_DISTRO"])
    command = [shell, "-c", f". {setup}; echo ${variable}"]
    names = (variable, "AMENT_PREFIX_PATH", "COLCON_CURRENT_PREFIX", "AMENT_CURRENT_PREFIX")
    fresh = {name: value for name, value in os.environ.items() if name not in names}
    fresh["COLCON_CURRENT_PREFIX"] = str(setup.parent)  # sh does not provide the path of a sourced file
    output = subprocess.run(command, env=fresh, capture_output=True, text=True, check=True)
    profile = Path(output.stdout.strip())
    assert profile.samefile(bringup / "share" / "edgecam_bringup" / "config" / "fastdds.xml"), output
    own = {**fresh, variable: "/mine.xml"}
    assert subprocess.check_output(command, env=own, text=True) == "/mine.xml\n"


@pytest.mark.parametrize(("distribution", "known"), [("humble", True), ("jazzy", True), ("kilted", False)])
def test_the_profile_has_the_name_that_the_distribution_reads(distribution: str, known: bool) -> None:
    environment = {"ROS_DISTRO": distribution, "FASTDDS_DEFAULT_PROFILES_FILE": "x.xml"}
    apply_profile(environment)
    assert (environment.get("FASTRTPS_DEFAULT_PROFILES_FILE") == "x.xml") is known
    sourced = {"ROS_DISTRO": distribution, profile_variable(distribution): "large.xml"}
    launched = sourced | {"FASTDDS_DEFAULT_PROFILES_FILE": "small.xml"}  # by set_env of the launch file
    apply_profile(launched)
    assert launched[profile_variable(distribution)] == "small.xml"
    environment = {"ROS_DISTRO": distribution, profile_variable(distribution): "mine.xml"}
    apply_profile(environment)
    assert environment == {"ROS_DISTRO": distribution, profile_variable(distribution): "mine.xml"}
