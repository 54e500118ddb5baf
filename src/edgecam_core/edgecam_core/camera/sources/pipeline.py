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

"""``pipeline:<text>``: any GStreamer pipeline that ends in raw video or JPEG."""

from __future__ import annotations

import re

from edgecam_core.camera.plan import SourcePlan
from edgecam_core.camera.platform import Have
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.camera.uri import SourceUri
from edgecam_core.errors import SettingError
from edgecam_core.media.launch_text import element_names

SCHEMES = ("pipeline",)
EXAMPLE = "pipeline:videotestsrc ! agingtv"


def plan(settings: CameraSettings, uri: SourceUri, have: Have) -> SourcePlan:
    """The pipeline as a source. ``gst-launch-1.0 -v`` before it and a sink after it are removed.

    Raises:
        SettingError: no element is left.
    """
    text = re.sub(r"^\s*gst-launch-1\.0(\s+-+\w[\w-]*)*", "", uri.rest).strip()
    text = re.sub(r"\s+-e\s*$", "", text)
    names = element_names(text)
    notes: tuple[str, ...] = ()
    if len(names) > 1 and names[-1].endswith("sink"):
        notes = (f"pipeline: {names[-1]} at the end is ignored, because the camera node takes the frames",)
        text = text[: text.rindex(names[-1])].rstrip().removesuffix("!").rstrip()
        names = element_names(text)
    if not names:
        raise SettingError("pipeline", uri.rest, "contains no element; write e.g. videotestsrc ! agingtv")
    last = text.rpartition("!")[2]
    codec = "raw"
    if "image/jpeg" in last or names[-1] in ("jpegenc", "jpegparse", "multipartdemux"):
        codec = "jpeg"
    elif "video/x-bayer" in last:
        codec = "bayer"
    from_file = any(name in ("filesrc", "multifilesrc") for name in names) and settings.realtime
    return SourcePlan(text, codec=codec, decode="jpegdec" if codec == "jpeg" else "", paced=from_file, notes=notes)
