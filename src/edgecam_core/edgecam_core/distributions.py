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

"""Differences between ROS 2 distributions that affect the core; see also edgecam_ros.humble."""

from __future__ import annotations

_WITH_FAST_DDS_2 = ("humble", "jazzy")


def profile_variable(distribution: str) -> str:
    """The environment variable for the path of the Fast DDS profile; Fast DDS 3 warns if both are set."""
    return "FASTRTPS_DEFAULT_PROFILES_FILE" if distribution in _WITH_FAST_DDS_2 else "FASTDDS_DEFAULT_PROFILES_FILE"
