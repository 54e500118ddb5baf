"""A calibration follows the rotated frame: a point of the world is projected to its pixel in the rotated frame."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from edgecam_core.camera import calibration, views
from edgecam_core.camera.calibration import Calibration
from edgecam_core.camera.settings import FLIPS
from edgecam_core.errors import SettingError

WIDTH, HEIGHT = 640, 480
POINTS = np.array([[0.3, -0.2, 1.0], [-0.25, 0.15, 1.1], [0.1, 0.22, 0.9], [0.0, 0.0, 1.0]])
MODELS = {
    "plumb_bob": (0.1, -0.05, 0.01, -0.02, 0.003),
    "rational_polynomial": (0.1, -0.05, 0.01, -0.02, 0.003, 0.02, 0.01, -0.01),
    "equidistant": (0.1, -0.05, 0.01, -0.002),
}
TURN = {
    "none": lambda image: image, "clockwise": lambda image: np.rot90(image, -1),
    "rotate-180": lambda image: np.rot90(image, 2), "counterclockwise": lambda image: np.rot90(image),
    "horizontal-flip": lambda image: image[:, ::-1], "vertical-flip": lambda image: image[::-1],
    "upper-left-diagonal": lambda image: image.T, "upper-right-diagonal": lambda image: np.rot90(image, 2).T,
}  # fmt: skip


def made(model: str, view: str = "") -> Calibration:
    k = (500.0, 0, 310.0, 0, 520.0, 250.0, 0, 0, 1)
    r = cv2.Rodrigues(np.array([0.01, -0.02, 0.03]))[0]
    p = (490.0, 0, 300.0, -60.0, 0, 490.0, 245.0, 0, 0, 0, 1, 0)
    return Calibration(WIDTH, HEIGHT, model, MODELS[model], k, tuple(map(float, r.ravel())), p, view)


def seen(camera: Calibration, points: np.ndarray) -> np.ndarray:
    """Pixels (N, 2) of points (N, 3) in the camera's frame."""
    k, d, zero = np.array(camera.k).reshape(3, 3), np.array(camera.d), np.zeros(3)
    if camera.distortion_model == "equidistant":
        return cv2.fisheye.projectPoints(points.reshape(-1, 1, 3), zero, zero, k, d)[0].reshape(-1, 2)
    return cv2.projectPoints(points, zero, zero, k, d)[0].reshape(-1, 2)


def rectified(camera: Calibration, points: np.ndarray) -> np.ndarray:
    turned = points @ np.array(camera.r).reshape(3, 3).T
    image = np.c_[turned, np.ones(len(points))] @ np.array(camera.p).reshape(3, 4).T
    return image[:, :2] / image[:, 2:]


def moved(pixels: np.ndarray, flip: str) -> np.ndarray:
    """The positions of these pixels in the rotated frame, by rotating images of their coordinates."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    rows, columns = TURN[flip](rows), TURN[flip](columns)
    corners = np.array([[0, 0], [0, 1], [1, 0]])  # three pixels of the rotated frame determine the map
    source = np.array([[columns[y, x], rows[y, x], 1.0] for y, x in corners])
    target = corners[:, ::-1].astype(float)
    return np.c_[pixels, np.ones(len(pixels))] @ np.linalg.solve(source, target)


def ray(points: np.ndarray, flip: str) -> np.ndarray:
    """The points (N, 3) in the axes of the rotated frame."""
    origin = moved(np.zeros((1, 2)), flip)
    axes = moved(np.eye(2), flip) - origin
    return np.c_[points[:, :2] @ axes, points[:, 2]]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("flip", FLIPS)
def test_the_same_point_is_seen_where_the_turned_frame_shows_it(flip: str, model: str) -> None:
    camera = made(model)
    turned = views.turned(camera, flip)
    assert (turned.width, turned.height) == TURN[flip](np.zeros((HEIGHT, WIDTH))).shape[::-1]
    assert np.allclose(seen(turned, ray(POINTS, flip)), moved(seen(camera, POINTS), flip), atol=1e-6)
    assert np.allclose(rectified(turned, ray(POINTS, flip)), moved(rectified(camera, POINTS), flip), atol=1e-6)
    assert np.isclose(np.linalg.det(np.array(turned.r).reshape(3, 3)), 1)


def test_two_flips_combine_into_one() -> None:
    image = np.arange(12).reshape(3, 4)
    for first, second in itertools.product(FLIPS, FLIPS):
        assert (TURN[second](TURN[first](image)) == TURN[views.combined(first, second)](image)).all()


@pytest.mark.parametrize("view", FLIPS)
def test_a_calibration_is_transformed_from_the_view_it_names(view: str, tmp_path: Path) -> None:
    size = (HEIGHT, WIDTH) if views.swaps(view) else (WIDTH, HEIGHT)
    calibration.save(made("plumb_bob", "none"), tmp_path / "c.yaml", "camera")
    loaded = calibration.load(tmp_path / "c.yaml", "x")
    assert np.allclose(views.for_view(loaded, view, size).k, views.turned(made("plumb_bob"), view).k)
    back = Calibration(**{**vars(views.turned(loaded, view)), "view": view})
    assert np.allclose(views.for_view(back, "none", (WIDTH, HEIGHT)).k, loaded.k)


def test_without_a_view_the_shape_decides_or_it_is_refused() -> None:
    camera = made("plumb_bob")
    assert views.for_view(camera, "none", (320, 240)).k[2] == 155
    assert views.for_view(camera, "clockwise", (480, 640)).k[2] == 480 - 1 - 250
    assert views.for_view(camera, "clockwise", (640, 480)).k == camera.k
    for view in ("rotate-180", "horizontal-flip", "vertical-flip"):
        with pytest.raises(views.ViewError, match=f"add the line 'flip_method: {view}'"):
            views.for_view(camera, view, (640, 480))
    with pytest.raises(views.ViewError, match="another aspect ratio"):
        views.for_view(camera, "rotate-180", (640, 360))


def test_a_calibration_that_cannot_be_rotated_is_refused() -> None:
    camera = Calibration(**{**vars(made("plumb_bob", "none")), "distortion_model": "thin_prism"})
    with pytest.raises(views.ViewError, match="distortion model 'thin_prism' cannot be flipped"):
        views.for_view(camera, "rotate-180", (640, 480))
    assert views.for_view(camera, "none", (640, 480)).k == camera.k


def test_an_unknown_view_is_refused(tmp_path: Path) -> None:
    calibration.save(made("plumb_bob", "sideways"), tmp_path / "c.yaml", "camera")
    with pytest.raises(SettingError, match="flip_method is 'sideways'"):
        calibration.load(tmp_path / "c.yaml", "x")
