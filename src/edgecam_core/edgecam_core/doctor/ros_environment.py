# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""ROS 2 environment."""

from __future__ import annotations

import importlib.util
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from pathlib import Path

from edgecam_core.distributions import profile_variable
from edgecam_core.doctor import Finding, error, note, ok, warning

SEGMENT_NEEDS = 16 * 2**20  # two 1920x1080 frames and a reserve
RANGES = ("SUBNET", "LOCALHOST", "OFF", "SYSTEM_DEFAULT")
HIGHEST_DOMAIN = 232  # higher domains would need UDP ports above 65535
SOURCE = "source install/setup.bash"


def check(environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    yield from _packages(environment)
    yield _domain(environment)
    yield from _discovery(environment)
    yield _middleware(environment)
    yield _profile(environment)


def _packages(environment: Mapping[str, str]) -> Iterator[Finding]:
    distribution = environment.get("ROS_DISTRO", "")
    if not environment.get("AMENT_PREFIX_PATH"):
        yield error("ros-sourced", "no ROS 2 in this shell (AMENT_PREFIX_PATH is not set)", SOURCE)
    else:
        yield ok("ros-sourced", f"ROS 2 {distribution or 'of unknown name'}")
    for name in ("rclpy", "vision_msgs", "sensor_msgs", "diagnostic_msgs"):
        if importlib.util.find_spec(name) is None:
            remedy = f"sudo apt-get install ros-{distribution or '$ROS_DISTRO'}-{name.replace('_', '-')}, or {SOURCE}"
            yield error(f"package-{name}", f"the package {name} was not found", remedy)


def _domain(environment: Mapping[str, str]) -> Finding:
    text = environment.get("ROS_DOMAIN_ID", "")
    if not text:
        return ok("domain", "ROS_DOMAIN_ID is not set: domain 0")
    if not text.isdecimal() or int(text) > HIGHEST_DOMAIN:
        return error("domain", f"ROS_DOMAIN_ID is {text!r}: no node can start", "export ROS_DOMAIN_ID=42  # 0 to 101")
    if int(text) > 101:
        return note("domain", f"ROS_DOMAIN_ID {text} uses ports of the ephemeral range; 0 to 101 are safe")
    return ok("domain", f"ROS_DOMAIN_ID {text}")


def _discovery(environment: Mapping[str, str]) -> Iterator[Finding]:
    given = environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "")
    if environment.get("ROS_LOCALHOST_ONLY") == "1":
        text = "ROS_LOCALHOST_ONLY=1 is deprecated and overrides the discovery range: only this machine is visible"
        yield warning(
            "localhost-only", text, "unset ROS_LOCALHOST_ONLY; export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST"
        )
    if given and given not in RANGES:
        remedy = f"export ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET  # one of {', '.join(RANGES)}"
        yield error("discovery", f"ROS_AUTOMATIC_DISCOVERY_RANGE is {given!r}, which is not a valid value", remedy)
    elif given == "OFF":
        text = "ROS_AUTOMATIC_DISCOVERY_RANGE is OFF: nodes do not discover each other, even on this machine"
        yield error("discovery", text, "export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST")
    elif given == "LOCALHOST":
        yield note("discovery", "discovery is limited to this machine", "unset ROS_AUTOMATIC_DISCOVERY_RANGE")
    else:
        yield ok("discovery", f"discovery range {given or 'SUBNET (default)'}")


def _middleware(environment: Mapping[str, str]) -> Finding:
    name = environment.get("RMW_IMPLEMENTATION", "")
    if not name:
        return ok("middleware", "the default middleware")
    prefixes = environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    if any((Path(prefix) / "share" / name).is_dir() for prefix in prefixes if prefix):
        return ok("middleware", f"middleware {name}")
    remedy = f"sudo apt-get install ros-$ROS_DISTRO-{name.replace('_', '-')}, or unset RMW_IMPLEMENTATION"
    return error("middleware", f"RMW_IMPLEMENTATION is {name}, which is not installed", remedy)


def _profile(environment: Mapping[str, str]) -> Finding:
    if environment.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp") != "rmw_fastrtps_cpp":
        return note("dds-profile", "Fast DDS is not in use; its profile is not needed")
    variable = profile_variable(environment.get("ROS_DISTRO", ""))
    path = environment.get(variable, "")
    remedy = (
        f"export {variable}=$(ros2 pkg prefix --share edgecam_bringup)/config/fastdds.xml"
        "  # edgecam's launch files set it"
    )
    if not path:
        text = "no Fast DDS profile in this shell: nodes started here lose half of the frames, nearly all at 1080p"
        return warning("dds-profile", text, remedy)
    try:
        segment = segment_size(Path(path))
    except FileNotFoundError:
        return error("dds-profile", f"the Fast DDS profile {path} does not exist", remedy)
    except (OSError, ElementTree.ParseError, ValueError) as problem:
        return error("dds-profile", f"the Fast DDS profile {path} cannot be read: {problem}", remedy)
    if segment < SEGMENT_NEEDS:
        text = f"the Fast DDS profile {path} has a shared-memory segment of {segment // 1024} KiB: frames are lost"
        return warning("dds-profile", text, remedy)
    return ok("dds-profile", f"Fast DDS profile {path}, {segment // 2**20} MiB shared memory")


def segment_size(path: Path) -> int:
    """Bytes of the largest shared-memory segment of a Fast DDS profile; Fast DDS's default of 512 KiB if not set."""
    sizes = [
        int(element.text or 0) for element in ElementTree.parse(path).iter() if element.tag.endswith("segment_size")
    ]
    return max(sizes, default=512 * 1024)
