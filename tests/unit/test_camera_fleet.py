"""Many cameras in one file: all are checked before one is started."""

from __future__ import annotations

from pathlib import Path

import pytest
from edgecam_core.camera import fleet
from edgecam_core.errors import SettingError


def test_defaults_apply_to_all_cameras_and_can_be_overridden(tmp_path: Path) -> None:
    path = tmp_path / "cameras.yaml"
    path.write_text(
        "defaults: {framerate: 15}\ncameras:\n- {camera_name: a, source: 'test://ball'}\n"
        "- {camera_name: b, framerate: 5.0}\n"
    )
    first, second = fleet.load(path)
    assert (first.camera_name, first.framerate, first.optical_frame) == ("a", 15.0, "a_optical_frame")
    assert (second.framerate, second.optical_frame) == (5.0, "b_optical_frame")


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("cameras: []", "at least one camera"),
        ("cameras: [{source: 'test://x'}]", "camera 1 has no camera_name"),
        ("cameras: [{camera_name: a, framerate: -1}]", r"camera 1 \(a\): parameter 'framerate' is -1"),
        ("cameras: [{camera_name: a, source: 'tst://x'}]", r"camera 1 \(a\): .*unknown scheme 'tst'"),
        ("cameras: [{camera_name: a}, {camera_name: a}]", "two cameras named 'a'"),
        ("cameras: [{camera_name: a}]\ncamera: 1", "unknown keys \\['camera'\\]"),
        ("cameras: [", "is not YAML"),
        ("cameras: [7]", "must map names to values"),
    ],
)
def test_an_error_is_reported_with_the_cameras_name(tmp_path: Path, text: str, reported: str) -> None:
    path = tmp_path / "cameras.yaml"
    path.write_text(text)
    with pytest.raises(SettingError, match=f"'cameras_file'.*{reported}"):
        fleet.load(path)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="cannot be read: No such file"):
        fleet.load(tmp_path / "none.yaml")
