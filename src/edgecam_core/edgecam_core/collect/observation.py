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

"""The input and the result of a rule."""

from __future__ import annotations

from dataclasses import dataclass

from edgecam_core.types import Detection, Frame


@dataclass(frozen=True, slots=True)
class Observation:
    """One frame of a camera with its detections.

    ``shadow`` holds the shadow model's detections, None without a shadow model. ``hash`` is the frame's perceptual
    hash, None if it was not computed. ``distance`` is the smallest number of bits in which the hash differs from that
    of a kept frame of the camera; 64 if no frame is kept yet. ``encoded`` is the frame as encoded by its source (a JPEG
    or PNG file), None if only pixels arrived.
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
class RuleMatch:
    """A rule's reason to keep a frame; each rule defines the meaning of ``value``."""

    rule: str
    value: float
    observation: Observation
