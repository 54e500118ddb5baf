"""Calibration files: read, written, scaled, and refused with reasons."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from edgecam_core.camera import calibration
from edgecam_core.camera.calibration import Calibration
from edgecam_core.errors import SettingError

GOOD = Calibration(
    width=640, height=480, distortion_model="plumb_bob", d=(0.1, -0.2, 0.0, 0.0, 0.05),
    k=(500.0, 0.0, 320.0, 0.0, 510.0, 240.0, 0.0, 0.0, 1.0), r=(1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0),
    p=(500.0, 0, 320.0, -50.0, 0, 510.0, 240.0, 0, 0, 0, 1.0, 0),
)  # fmt: skip


def nowhere(package: str) -> str:
    raise LookupError(package)


def test_a_saved_calibration_is_loaded_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "camera.yaml"
    calibration.save(GOOD, path, "camera")
    assert calibration.load(path, "x") == GOOD
    assert list(path.parent.iterdir()) == [path]  # no partial file remains


def test_a_smaller_frame_has_smaller_focal_lengths() -> None:
    half = GOOD.scaled(320, 240)
    assert half.k == (250.0, 0.0, 160.0, 0.0, 255.0, 120.0, 0.0, 0.0, 1.0)
    assert half.p[3] == -25.0
    assert half.d == GOOD.d
    assert GOOD.fits(1280, 960)
    assert not GOOD.fits(1280, 720)


@pytest.mark.parametrize(
    ("content", "reported"),
    [
        ("a: [", "is not YAML"),
        ("just text", "is not a calibration"),
        ("image_width: 640\nimage_height: 480\n", "camera_matrix"),
    ],
)
def test_files_that_are_not_calibrations_are_refused(tmp_path: Path, content: str, reported: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(SettingError, match=f"(?s)camera_info_url.*{reported}"):
        calibration.load(path, f"file://{path}")


def test_urls_are_found_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_HOME", "/home/me/.ros")
    where = calibration.locate("file://${ROS_HOME}/camera_info/${NAME}.yaml", "front", nowhere)
    assert where == Path("/home/me/.ros/camera_info/front.yaml")
    where = calibration.locate("package://p/c/x.yaml", "front", lambda name: f"/share/{name}")
    assert where == Path("/share/p/c/x.yaml")
    with pytest.raises(SettingError, match="ROS package 'none' is not installed"):
        calibration.locate("package://none/x.yaml", "front", nowhere)
    with pytest.raises(SettingError, match="file:///"):
        calibration.locate("http://x/y.yaml", "front", nowhere)
    with pytest.raises(SettingError, match="cannot be read"):
        calibration.load(Path("/nowhere.yaml"), "file:///nowhere.yaml")


_INI = """# oST version 5.0 parameters


[image]

width
640

height
480

[narrow_stereo]

camera matrix
500.0 0.0 320.0
0.0 510.0 240.0
0.0 0.0 1.0

distortion
0.1 -0.2 0.0 0.0 0.05

rectification
1.0 0 0
0 1.0 0
0 0 1.0

projection
500.0 0 320.0 -50.0
0 510.0 240.0 0
0 0 1.0 0
"""


def opencv(path: Path, coefficients: int = 5, **names: str) -> Path:
    """A calibration as cv::FileStorage writes it; ``names`` replaces the usual ones."""
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write(names.get("width", "image_width"), 640)
    storage.write(names.get("height", "image_height"), 480)
    storage.write(names.get("matrix", "camera_matrix"), np.array(GOOD.k).reshape(3, 3))
    storage.write(names.get("distortion", "distortion_coefficients"), np.resize(np.array(GOOD.d), coefficients))
    storage.release()
    return path


@pytest.mark.parametrize("suffix", [".yml", ".yaml", ".xml"])
def test_opencvs_own_files_are_read(tmp_path: Path, suffix: str) -> None:
    found = calibration.load(opencv(tmp_path / f"opencv{suffix}"), "x")
    assert (found.width, found.height, found.k, found.d) == (640, 480, GOOD.k, GOOD.d)
    assert found.distortion_model == "plumb_bob"
    assert found.p == (500.0, 0.0, 320.0, 0.0, 0.0, 510.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    other = opencv(tmp_path / f"names{suffix}", 8, matrix="K", distortion="distCoeffs", width="image_Width")
    assert calibration.load(other, "x").distortion_model == "rational_polynomial"


def test_the_ini_file_of_camera_calibration_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ost.txt"
    path.write_text(_INI)
    assert calibration.load(path, "x") == GOOD


@pytest.mark.parametrize(
    ("content", "reported"),
    [
        ("%YAML:1.0\n---\nimage_width: 640\n", "not a calibration"),
        ("%YAML:1.0\n---\na: !!opencv-matrix\n   rows: 3\n", "not a calibration"),
        ("<?xml version='1.0'?><opencv_storage></opencv_storage>", "not a calibration"),
        ("<?xml ", "not a calibration"),
        (_INI.replace("640", "wide"), "not a calibration"),
        (_INI.replace("distortion", "distort"), "not a calibration.*distortion"),
        (_INI.replace("0.1 -0.2 0.0", "0.1"), "3 distortion coefficients"),
    ],
)
def test_incomplete_files_of_other_tools_are_refused(tmp_path: Path, content: str, reported: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(content)
    with pytest.raises(SettingError, match=f"(?s)camera_info_url.*{reported}"):
        calibration.load(path, "x")


def test_a_file_name_may_contain_spaces_and_percent_signs(tmp_path: Path) -> None:
    for name in ("my camera.yaml", "100%.yaml", "a%20b.yaml"):
        path = tmp_path / name
        calibration.save(GOOD, path, "camera")
        for url in (f"file://{path}", path.as_uri()):
            assert calibration.load(calibration.locate(url, "camera", nowhere), url) == GOOD


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in ("camera.yaml", "camera.yaml.part", ".camera.yaml.part"):
        (tmp_path / name).symlink_to(victim)
    calibration.save(GOOD, tmp_path / "camera.yaml", "camera")
    assert victim.read_text() == "precious"
    assert calibration.load(tmp_path / "camera.yaml", "x") == GOOD
