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

"""Images of a folder as calibration data for INT8."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgecam_core.errors import ImageError, SettingError
from edgecam_core.media.image_files import image_files
from edgecam_core.media.image_reader import read_image
from edgecam_core.models.preprocess import InputSpec, Preprocessor
from edgecam_core.types import Frame

_MAX_IMAGES = 500  # more images do not change the ranges


class ImageCalibration:
    """Up to 500 images, spread evenly over the folder, preprocessed as in the detector. Implements
    ``CalibrationImages``.

    Raises:
        SettingError: no such folder, or no image in it.
    """

    def __init__(self, folder: str | Path, spec: InputSpec) -> None:
        self._spec = spec
        root = Path(folder).expanduser()
        found = image_files(root) if root.is_dir() else []
        if not found:
            raise SettingError("calibration", str(folder), "must be a folder with images (jpg, png, ...)")
        step = max(1, -(-len(found) // _MAX_IMAGES))
        self.paths = found[::step]

    def __len__(self) -> int:
        return len(self.paths)

    def fingerprint(self) -> str:
        digest = hashlib.sha256(repr(self._spec).encode())
        for path in self.paths:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    def feeds(self) -> Iterator[dict[str, np.ndarray]]:
        preprocessor = Preprocessor(self._spec)
        for path in self.paths:
            try:
                tensor, _ = preprocessor.prepare(Frame.from_array(read_image(path), "bgr8"))
            except ImageError as error:
                raise SettingError("calibration", str(path.parent), f"{error}; remove that file") from error
            yield {self._spec.name: tensor}
