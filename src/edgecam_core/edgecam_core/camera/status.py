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

"""The status of a camera."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CameraStatus:
    """A snapshot of a camera's status.

    ``state`` is stopped, opening, streaming, retrying, ended or failed; ``problem`` is the current error, or empty.
    ``waiting`` states what a camera without frames is waiting for; empty while frames arrive. ``last_frame_age`` is in
    seconds, nan before the first frame. ``drops`` counts frames that a newer one replaced before they were processed,
    ``held`` access units that packet loss made undecodable, ``skipped`` access units not decoded because there was no
    consumer, and ``bad`` damaged frames.
    """

    state: str
    problem: str
    frames: int
    fps: float
    drops: int
    held: int
    skipped: int
    bad: int
    reconnects: int
    last_frame_age: float
    width: int
    height: int
    waiting: str
