"""Calibration files: read, written, scaled, and refused with reasons."""

from __future__ import annotations

from pathlib import Path

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


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "camera.yaml"
    calibration.save(GOOD, path, "camera")
    assert calibration.load(path, "x") == GOOD
    assert list(path.parent.iterdir()) == [path]  # no half-written file stays


def test_a_smaller_frame_has_smaller_focal_lengths() -> None:
    half = GOOD.scaled(320, 240)
    assert half.k == (250.0, 0.0, 160.0, 0.0, 255.0, 120.0, 0.0, 0.0, 1.0)
    assert half.p[3] == -25.0
    assert half.d == GOOD.d
    assert GOOD.fits(1280, 960)
    assert not GOOD.fits(1280, 720)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a: [", "is not YAML"),
        ("just text", "is no calibration"),
        ("image_width: 640\nimage_height: 480\n", "camera_matrix"),
    ],
)
def test_files_that_are_no_calibration_are_refused(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(SettingError, match=f"(?s)camera_info_url.*{told}"):
        calibration.load(path, f"file://{path}")


def test_urls_are_found_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_HOME", "/home/me/.ros")
    where = calibration.locate("file://${ROS_HOME}/camera_info/${NAME}.yaml", "front", nowhere)
    assert where == Path("/home/me/.ros/camera_info/front.yaml")
    where = calibration.locate("package://p/c/x.yaml", "front", lambda name: f"/share/{name}")
    assert where == Path("/share/p/c/x.yaml")
    with pytest.raises(SettingError, match="no ROS package 'none'"):
        calibration.locate("package://none/x.yaml", "front", nowhere)
    with pytest.raises(SettingError, match="file:///"):
        calibration.locate("http://x/y.yaml", "front", nowhere)
    with pytest.raises(SettingError, match="cannot be read"):
        calibration.load(Path("/nowhere.yaml"), "file:///nowhere.yaml")
