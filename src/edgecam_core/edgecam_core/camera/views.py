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

"""Rotated and mirrored views of a camera: how they combine, and how they change a calibration. Pure functions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgecam_core.camera.calibration import Calibration
from edgecam_core.errors import EdgecamError

# The columns of each matrix: where the source's directions right (x) and down (y) point in the view.
_AXES = {
    "none": ((1, 0), (0, 1)), "clockwise": ((0, -1), (1, 0)), "rotate-180": ((-1, 0), (0, -1)),
    "counterclockwise": ((0, 1), (-1, 0)), "horizontal-flip": ((-1, 0), (0, 1)), "vertical-flip": ((1, 0), (0, -1)),
    "upper-left-diagonal": ((0, 1), (1, 0)), "upper-right-diagonal": ((0, -1), (-1, 0)),
}  # fmt: skip
_COVARIANT = ("", "plumb_bob", "rational_polynomial", "equidistant")


class ViewError(EdgecamError):
    """A calibration cannot be used for the frame; the text states the reason and the remedy."""


def combined(first: str, second: str) -> str:
    """The flip equivalent to ``first`` followed by ``second``; all are values of ``flip_method``."""
    product = _matrix(second) @ _matrix(first)
    return next(name for name in _AXES if (_matrix(name) == product).all())


def swaps(flip: str) -> bool:
    """Whether the flip swaps width and height."""
    return _AXES[flip][0][0] == 0


def for_view(calibration: Calibration, view: str, size: tuple[int, int]) -> Calibration:
    """The calibration for frames of this size (width, height) that show the source flipped by ``view``.

    If the file does not state the view of the calibration, the aspect ratio decides.

    Raises:
        ViewError: the aspect ratio differs or is ambiguous, or the distortion model cannot be flipped.
    """
    calibrated = calibration.view or _guessed(calibration, view, size)
    if calibrated != view:
        calibration = turned(calibration, combined(_inverse(calibrated), view))
    if not calibration.fits(*size):
        expected, actual = f"{calibration.width}x{calibration.height}", f"{size[0]}x{size[1]}"
        raise ViewError(
            f"the calibration is for {expected}, the frame is {actual}: another aspect ratio; calibrate again"
        )
    return calibration.scaled(*size)


def _guessed(calibration: Calibration, view: str, size: tuple[int, int]) -> str:
    direct, across = calibration.fits(*size), calibration.fits(size[1], size[0])
    if view == "none" or (direct and swaps(view) and not across):
        return view
    if swaps(view) and across and not direct:
        return "none"
    if not direct:
        return view  # another aspect ratio in either view
    raise ViewError(
        f"the frame is flipped ({view}), and the calibration does not state whether it was made from flipped frames; "
        f"calibrate again, or add the line 'flip_method: {view}' (flipped frames) or 'flip_method: none' (frames of "
        "the source) to its file"
    )


def turned(calibration: Calibration, flip: str) -> Calibration:
    """The calibration of the same camera with its frames flipped by ``flip``.

    Pixel centres are at integer coordinates, so that column x of a mirrored frame was column width - 1 - x.

    Raises:
        ViewError: the distortion model is unknown, or the camera matrix has a skew.
    """
    d, k = calibration.d, np.array(calibration.k).reshape(3, 3)
    if calibration.distortion_model not in _COVARIANT or any(d[8:]) or k[0, 1]:
        model = calibration.distortion_model
        raise ViewError(f"a calibration with distortion model '{model}' cannot be flipped; calibrate flipped frames")
    width, height = calibration.width, calibration.height
    if swaps(flip):
        width, height = height, width
    axes = np.eye(4)
    axes[:2, :2] = _matrix(flip)
    pixels = axes[:3, :3].copy()
    pixels[:2, 2] = np.where(_matrix(flip).sum(axis=1) < 0, (width - 1, height - 1), 0)
    if len(d) >= 4 and calibration.distortion_model != "equidistant":
        p2, p1 = _matrix(flip) @ (d[3], d[2])
        d = (*d[:2], float(p1), float(p2), *d[4:])
    r = np.array(calibration.r).reshape(3, 3)
    p = np.array(calibration.p).reshape(3, 4)
    return replace(
        calibration, width=width, height=height, d=d,
        k=_row_by_row(pixels @ k @ axes[:3, :3].T),
        r=_row_by_row(axes[:3, :3] @ r @ axes[:3, :3].T),
        p=_row_by_row(pixels @ p @ axes.T),
    )  # fmt: skip


def _matrix(flip: str) -> np.ndarray:
    return np.array(_AXES[flip])


def _inverse(flip: str) -> str:
    return next(name for name in _AXES if (_matrix(name) == _matrix(flip).T).all())


def _row_by_row(matrix: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) + 0.0 for value in matrix.ravel())  # no negative zeros
