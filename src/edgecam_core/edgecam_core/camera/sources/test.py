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

"""``test://PATTERN``: a GStreamer test pattern; needs no hardware."""

from __future__ import annotations

from edgecam_core.camera.plan import SourcePlan
from edgecam_core.camera.platform import Have
from edgecam_core.camera.settings import CameraSettings, fraction
from edgecam_core.camera.uri import SourceUri
from edgecam_core.errors import SettingError

SCHEMES = ("test",)
EXAMPLE = "test://smpte"
PATTERNS = (
    "smpte", "snow", "black", "white", "red", "green", "blue", "checkers-1", "checkers-2", "checkers-4", "checkers-8",
    "circular", "blink", "smpte75", "zone-plate", "gamut", "chroma-zone-plate", "solid-color", "ball", "smpte100",
    "bar", "pinwheel", "spokes", "gradient", "colors",
)  # fmt: skip


def plan(settings: CameraSettings, uri: SourceUri, have: Have) -> SourcePlan:
    """640x480 at 30 Hz by default.

    Raises:
        SettingError: GStreamer has no such pattern.
    """
    pattern = uri.path.strip("/") or "smpte"
    if pattern not in PATTERNS:
        raise SettingError("source", uri.text, f"unknown test pattern; use one of {', '.join(PATTERNS)}")
    width, height = settings.image_width, settings.image_height
    if settings.turned:
        width, height = height, width
    size = f"width={width if width > 0 else 640},height={height if height > 0 else 480}"
    rate = fraction(settings.framerate or 30)
    bayer = settings.image_encoding.startswith("bayer")
    media = "video/x-bayer" if bayer else "video/x-raw"
    # With wall-time, the animation continues when the source is reopened.
    head = f"videotestsrc is-live=true pattern={pattern} animation-mode=wall-time ! {media},{size},framerate={rate}"
    return SourcePlan(head, codec="bayer" if bayer else "raw", sized_by_device=True, progressive=True)
