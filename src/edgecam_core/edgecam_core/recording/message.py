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

"""The contents of a recording: topics and serialised messages."""

from __future__ import annotations

from dataclasses import dataclass

from edgecam_core.errors import EdgecamError


class RecordingError(EdgecamError):
    """A recording that cannot be written or read."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One recorded topic.

    ``type`` is the full ROS type (``sensor_msgs/msg/Image``), ``qos`` the offered profiles as rosbag2's YAML,
    ``type_hash`` the REP-2016 hash (``RIHS01_...``), ``definition`` the message definition including all used types, in
    the format ``ros2msg``. ``latched`` topics are transient local: late subscribers get their last messages.
    """

    name: str
    type: str
    qos: str = ""
    type_hash: str = ""
    definition: str = ""
    latched: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One message: CDR bytes with their encapsulation header; times in nanoseconds of the ROS clock.

    ``log_ns`` is the time of reception, ``publish_ns`` that of publication (``log_ns`` if ROS does not provide it).
    """

    topic: Topic
    log_ns: int
    publish_ns: int
    data: bytes
