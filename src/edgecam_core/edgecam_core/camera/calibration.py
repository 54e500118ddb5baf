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

"""Reads and writes camera calibrations in the formats of ROS and OpenCV, without ROS."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

from edgecam_core import text_files
from edgecam_core.camera import calibration_formats
from edgecam_core.camera.settings import FLIPS
from edgecam_core.errors import SettingError
from edgecam_core.files import write_atomically

_MATRICES = {"camera_matrix": 9, "rectification_matrix": 9, "projection_matrix": 12}


@dataclass(frozen=True)
class Calibration:
    """The content of a sensor_msgs/CameraInfo: ``k`` and ``r`` (3x3) and ``p`` (3x4), row-major; ``d`` by the model.

    ``view`` is the flip_method of the frames used for calibration; empty if the file does not state it.
    """

    width: int
    height: int
    distortion_model: str = ""
    d: tuple[float, ...] = ()
    k: tuple[float, ...] = (0.0,) * 9
    r: tuple[float, ...] = (0.0,) * 9
    p: tuple[float, ...] = (0.0,) * 12
    view: str = ""

    def scaled(self, width: int, height: int) -> Calibration:
        """The calibration of the same view at another size: focal lengths and principal point scale with it."""
        x, y = width / self.width, height / self.height
        k, p = list(self.k), list(self.p)
        for index, factor in ((0, x), (1, x), (2, x), (3, y), (4, y), (5, y)):
            k[index] *= factor
        for index, factor in ((0, x), (1, x), (2, x), (3, x), (4, y), (5, y), (6, y), (7, y)):
            p[index] *= factor
        return replace(self, width=width, height=height, k=tuple(k), p=tuple(p))

    def fits(self, width: int, height: int) -> bool:
        """Whether a frame of this size can be the same view: the same aspect ratio, to half a pixel."""
        return abs(self.height * width / self.width - height) <= 0.5


def locate(url: str, camera_name: str, package_share: Callable[[str], str]) -> Path:
    """The file of a ``camera_info_url``: ``file:///…`` or ``package://pkg/…``, with ``${NAME}`` and ``${ROS_HOME}``.

    ``package_share`` returns the share folder of a package, or raises LookupError if there is no such package.

    Raises:
        SettingError: the URL has another scheme, or the package is unknown.
    """
    home = os.environ.get("ROS_HOME", str(Path.home() / ".ros"))
    text = url.replace("${NAME}", camera_name).replace("${ROS_HOME}", home)
    if text.startswith("file:///"):
        return _existing(Path(), text.removeprefix("file://"))
    if text.startswith("package://"):
        package, _, inside = text.removeprefix("package://").partition("/")
        try:
            return _existing(Path(package_share(package)), inside)
        except LookupError as error:
            raise SettingError("camera_info_url", url, f"ROS package {package!r} is not installed") from error
    raise SettingError("camera_info_url", url, "must begin with file:/// or package://, e.g. file:///path/camera.yaml")


def _existing(folder: Path, name: str) -> Path:
    """The name as written if such a file exists, else percent-decoded."""
    literal = folder / name
    return literal if literal.exists() else folder / unquote(name)


def load(path: Path, url: str) -> Calibration:
    """Read a calibration file; errors name ``url``.

    Raises:
        SettingError: the file cannot be read, is not YAML, or is not a calibration.
    """
    try:
        loaded = calibration_formats.parse(text_files.read_text(path))
    except OSError as error:
        raise SettingError("camera_info_url", url, f"{path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        first = str(error).splitlines()[0]
        raise SettingError("camera_info_url", url, f"{path} is not YAML ({first}); write it with {_HOW}") from error
    except (KeyError, ValueError) as error:
        what = f"{path} is not a calibration ({type(error).__name__}: {error})"
        raise SettingError("camera_info_url", url, f"{what}; write it with {_HOW}") from error
    try:
        return _from_yaml(loaded)
    except (KeyError, TypeError, ValueError) as error:
        what = f"{path} is not a calibration ({type(error).__name__}: {error})"
        raise SettingError("camera_info_url", url, f"{what}; write it with {_HOW}") from error


_HOW = "`ros2 run camera_calibration cameracalibrator` or the set_camera_info service"


def _from_yaml(loaded: Any) -> Calibration:
    width, height = int(loaded["image_width"]), int(loaded["image_height"])
    if width < 1 or height < 1:
        raise ValueError(f"image size {width}x{height}")
    found = {}
    for name, count in _MATRICES.items():
        values = tuple(float(value) for value in loaded[name]["data"])
        if len(values) != count or not all(map(math.isfinite, values)):
            raise ValueError(f"{name} needs {count} finite numbers")
        found[name] = values
    view = str(loaded.get("flip_method") or "")
    if view and view not in FLIPS:
        raise ValueError(f"flip_method is {view!r}, not one of {', '.join(FLIPS)}")
    return Calibration(
        width=width,
        height=height,
        distortion_model=str(loaded["distortion_model"]),
        d=tuple(float(value) for value in loaded["distortion_coefficients"]["data"]),
        k=found["camera_matrix"],
        r=found["rectification_matrix"],
        p=found["projection_matrix"],
        view=view,
    )


def save(calibration: Calibration, path: Path, camera_name: str) -> None:
    """Write a calibration in the format of camera_calibration_parsers. The old file remains if writing fails.

    Raises:
        OSError: the file cannot be written.
    """

    def matrix(rows: int, columns: int, values: tuple[float, ...]) -> dict[str, object]:
        return {"rows": rows, "cols": columns, "data": list(values)}

    document: dict[str, object] = {
        "image_width": calibration.width,
        "image_height": calibration.height,
        "camera_name": camera_name,
        "camera_matrix": matrix(3, 3, calibration.k),
        "distortion_model": calibration.distortion_model,
        "distortion_coefficients": matrix(1, len(calibration.d), calibration.d),
        "rectification_matrix": matrix(3, 3, calibration.r),
        "projection_matrix": matrix(3, 4, calibration.p),
    }
    if calibration.view:
        document["flip_method"] = calibration.view
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, yaml.safe_dump(document, sort_keys=False, default_flow_style=None))
