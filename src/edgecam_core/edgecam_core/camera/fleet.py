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

"""Several cameras in one YAML file.

defaults:                       # optional, for all cameras
  framerate: 15.0
cameras:
  - camera_name: front
    source: v4l2:///dev/video0
  - camera_name: yard
    source: rtsp://user:password@10.0.0.7/live
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from edgecam_core.camera import sources
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.errors import EdgecamError, SettingError


def load(path: Path) -> list[CameraSettings]:
    """The checked settings of every camera in the file.

    Raises:
        SettingError: the file cannot be read, has no such list, or a camera has invalid settings; the text names the
            camera.
    """
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise SettingError("cameras_file", str(path), f"cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise SettingError("cameras_file", str(path), f"is not YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(document, dict) or not isinstance(document.get("cameras"), list) or not document["cameras"]:
        raise SettingError("cameras_file", str(path), "needs a list 'cameras' with at least one camera")
    if unknown := set(document) - {"cameras", "defaults"}:
        remedy = f"has unknown keys {sorted(unknown)}; use 'cameras' and 'defaults' only"
        raise SettingError("cameras_file", str(path), remedy)
    defaults = document.get("defaults") or {}
    found = [_camera(path, index, defaults, entry) for index, entry in enumerate(document["cameras"])]
    names = [settings.camera_name for settings in found]
    for name in names:
        if names.count(name) > 1:
            raise SettingError("cameras_file", str(path), f"has two cameras named {name!r}; names must be unique")
    return found


def _camera(path: Path, index: int, defaults: Any, entry: Any) -> CameraSettings:
    where = f"camera {index + 1}"
    if not isinstance(defaults, dict) or not isinstance(entry, dict):
        raise SettingError("cameras_file", str(path), f"{where} and the defaults must map names to values")
    if "camera_name" not in entry:
        raise SettingError("cameras_file", str(path), f"{where} has no camera_name")
    try:
        settings = CameraSettings.from_mapping({**defaults, **entry})
        sources.find(settings)
    except EdgecamError as error:
        raise SettingError("cameras_file", str(path), f"{where} ({entry['camera_name']}): {error}") from error
    return settings
