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

"""``file:///path``: a video in any container, an image, or a folder of images."""

from __future__ import annotations

import os
from pathlib import Path

from edgecam_core.camera import folder
from edgecam_core.camera.plan import SourcePlan
from edgecam_core.camera.platform import Have, after_decodebin
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.camera.uri import SourceUri
from edgecam_core.errors import SettingError
from edgecam_core.media.image_files import IMAGE_SUFFIXES
from edgecam_core.media.launch_text import quoted

SCHEMES = ("file",)
EXAMPLE = "file:///path/clip.mp4"


def plan(settings: CameraSettings, uri: SourceUri, have: Have) -> SourcePlan:
    """A video is decoded by GStreamer's highest-ranked decoder; only its video track is opened.

    Images, from a file or a folder, are pushed one by one.
    """
    if uri.path.lower().endswith(IMAGE_SUFFIXES) or Path(uri.path).is_dir():
        return SourcePlan(folder.HEAD, ends=True, folder=uri.path, progressive=True)
    location = quoted(Path(uri.path).as_uri())
    head = f'uridecodebin uri={location} caps="video/x-raw(ANY)" expose-all-streams=false'
    decode = " ! ".join(after_decodebin(have))
    return SourcePlan(head, decode=decode, paced=settings.realtime, loops=True, ends=True, tagged=True)


def check(settings: CameraSettings, uri: SourceUri) -> None:
    """Check that the path is a readable file or a folder with images.

    Raises:
        SettingError: it is neither.
    """
    path = Path(uri.path)
    if not path.is_absolute():
        raise SettingError("source", uri.text, f"a file needs its full path: file://{path.absolute()}")
    if not path.exists():
        where = path.parent if path.parent.is_dir() else next(p for p in path.parents if p.is_dir())
        raise SettingError("source", uri.text, f"there is no such file; the nearest existing folder is {where}")
    if path.is_dir() and not folder.files_of(path):
        remedy = f"is a folder without images ({', '.join(IMAGE_SUFFIXES)}); name another folder or a video file"
        raise SettingError("source", uri.text, remedy)
    if not os.access(path, os.R_OK):
        raise SettingError("source", uri.text, f"this user has no permission to read it; try chmod a+r {path}")
