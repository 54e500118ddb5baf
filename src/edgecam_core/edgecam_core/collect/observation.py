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

"""The input of a rule, and its result."""

from __future__ import annotations

from dataclasses import dataclass

from edgecam_core.types import Detection, Frame


@dataclass(frozen=True, slots=True)
class Observation:
    """One frame of a camera with the detections made from it.

    ``shadow`` are those of a second model on the same frame, None where there are none. ``hash`` is the frame's
    perceptual hash, None where it was not computed; ``distance`` the fewest bits in which it differs from a kept
    frame of the camera, 64 where none is kept yet. ``encoded`` is the frame as its source coded it (a JPEG or PNG
    file), None if only pixels arrived.
    """

    camera: str
    frame: Frame
    detections: tuple[Detection, ...]
    shadow: tuple[Detection, ...] | None = None
    hash: int | None = None
    distance: int | None = None
    encoded: bytes | None = None

    @property
    def stamp_ns(self) -> int:
        return self.frame.stamp_ns


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule's reason to keep a frame: ``value`` is what it measured, in the unit its rule states."""

    rule: str
    value: float
    observation: Observation
