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

"""Readers for calibration formats. Each returns the structure of ROS calibration YAML (camera_calibration_parsers)."""

from __future__ import annotations

from typing import Any

import numpy as np
import yaml

_WIDTH = ("image_width", "image_Width", "width")
_HEIGHT = ("image_height", "image_Height", "height")
_MATRIX = ("camera_matrix", "Camera_Matrix", "cameraMatrix", "intrinsic_matrix", "mtx", "K", "M1")
_DISTORTION = ("distortion_coefficients", "Distortion_Coefficients", "distCoeffs", "dist_coeffs", "dist", "D", "D1")
_MODELS = {4: "plumb_bob", 5: "plumb_bob", 8: "rational_polynomial"}


def parse(text: str) -> Any:
    """The calibration with the keys of ROS, from ROS YAML, OpenCV YAML, XML or JSON, or camera_calibration ``.ini``.

    Raises:
        ValueError, KeyError: the content is incomplete or invalid.
        yaml.YAMLError: the text has none of these formats and is not YAML.
    """
    begin = text.lstrip()
    if begin.startswith(("%YAML:", "<?xml")) or "opencv-matrix" in text:
        return _from_opencv(text)
    if begin.startswith("# oST") or "\n[image]" in f"\n{begin}":
        return _from_ini(text)
    return yaml.safe_load(text)


def _from_opencv(text: str) -> dict[str, Any]:
    """The format of OpenCV's cv::FileStorage, used by its calibration sample and many scripts."""
    import cv2

    try:
        storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
    except (cv2.error, SystemError):  # the constructor wraps OpenCV's error
        raise ValueError("OpenCV cannot read the file") from None
    try:
        matrix = _first(storage, _MATRIX).mat()
        distortion = _first(storage, _DISTORTION).mat()
        width, height = (int(_first(storage, names).real()) for names in (_WIDTH, _HEIGHT))
        fisheye = bool(int(storage.getNode("fisheye_model").real() or 0))
    finally:
        storage.release()
    if matrix is None or distortion is None:
        raise ValueError("camera matrix and distortion coefficients must be matrices")
    return _complete(width, height, matrix.ravel(), distortion.ravel(), "equidistant" if fisheye else "")


def _first(storage: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        node = storage.getNode(name)
        if not node.empty():
            return node
    raise KeyError(names[0])


def _from_ini(text: str) -> dict[str, Any]:
    """The format that camera_calibration prints: a name on one line, its numbers on the next lines."""
    values: dict[str, list[float]] = {}
    name = ""
    for line in text.splitlines():
        words = line.split("#", 1)[0].split()
        if not words or words[0].startswith("["):
            continue
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            name = " ".join(words)
            continue
        values.setdefault(name, []).extend(numbers)
    document = _complete(
        int(values["width"][0]), int(values["height"][0]),
        np.array(values["camera matrix"]), np.array(values["distortion"]), "",
    )  # fmt: skip
    for key, name in (("rectification_matrix", "rectification"), ("projection_matrix", "projection")):
        if name in values:
            document[key] = {"data": values[name]}
    return document


def _complete(width: int, height: int, matrix: np.ndarray, distortion: np.ndarray, model: str) -> dict[str, Any]:
    """The document, with what these formats omit: the model by its number of coefficients, and no rectification."""
    if matrix.size != 9:
        raise ValueError(f"the camera matrix has {matrix.size} numbers, not 9")
    model = model or _MODELS.get(distortion.size, "")
    if not model:
        raise ValueError(f"{distortion.size} distortion coefficients; ROS has models with 4, 5 and 8")
    if model == "plumb_bob":
        distortion = np.resize(np.append(distortion, 0.0), 5)
    k = [float(value) for value in matrix]
    return {
        "image_width": width,
        "image_height": height,
        "camera_matrix": {"data": k},
        "distortion_model": model,
        "distortion_coefficients": {"data": [float(value) for value in distortion]},
        "rectification_matrix": {"data": [1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0]},
        "projection_matrix": {"data": [*k[0:3], 0.0, *k[3:6], 0.0, *k[6:9], 0.0]},
    }
