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

"""Entry points of this package's executables; imports little, see edgecam_ros.starting."""

from __future__ import annotations

from edgecam_ros.starting import load_gstreamer, start


def camera() -> int:
    return start("edgecam_camera.node", parallel=load_gstreamer)


def cameras() -> int:
    return start("edgecam_camera.cameras")
