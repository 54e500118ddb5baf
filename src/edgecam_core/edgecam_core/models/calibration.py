"""Pictures of a folder as calibration data for INT8."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edgecam_core.errors import SettingError
from edgecam_core.models.preprocess import InputSpec, Preprocessor
from edgecam_core.types import Frame

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_MOST = 500  # more pictures change the ranges no further


def pictures_in(folder: Path) -> list[Path]:
    """The picture files of a folder and those below it, by name."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


class PictureCalibration:
    """Up to 500 pictures, spread evenly over the folder, preprocessed as the detector does it.

    Raises:
        SettingError: no such folder, or no picture in it.
    """

    def __init__(self, folder: str | Path, spec: InputSpec) -> None:
        self._spec = spec
        root = Path(folder).expanduser()
        found = pictures_in(root) if root.is_dir() else []
        if not found:
            raise SettingError("calibration", str(folder), "must be a folder with pictures (jpg, png, ...)")
        step = max(1, -(-len(found) // _MOST))
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
            picture = cv2.imread(str(path))
            if picture is None:
                raise SettingError("calibration", str(path), "is not a picture that can be read; remove it")
            yield {self._spec.name: preprocessor.prepare(Frame.from_array(picture, "bgr8"))[0]}
