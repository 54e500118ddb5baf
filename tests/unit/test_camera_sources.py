"""Sources as text: found by their scheme, right on every platform, clear about what cannot work."""

from __future__ import annotations

from pathlib import Path

import pytest
from edgecam_core.camera import sources
from edgecam_core.camera.plan import compose, jpeg_as_is
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.errors import SettingError

from edgecam_core import gst


def everything(_element: str) -> bool:
    return True


def text_of(have=everything, **values) -> str:
    settings = CameraSettings(**values)
    return compose(sources.plan(settings, have), settings, have)


def test_every_source_has_an_example_that_plans() -> None:
    for module in set(sources.table().values()):
        settings = CameraSettings(source=module.EXAMPLE)
        text = compose(sources.plan(settings, everything), settings, everything)
        assert "appsink name=sink" in text, module.EXAMPLE


def test_an_unknown_scheme_is_told_with_the_ones_there_are() -> None:
    with pytest.raises(SettingError, match=r"'source' is 'v4l://x'.*did you mean v4l2://.*file:///"):
        sources.find(CameraSettings(source="v4l://x"))
    with pytest.raises(SettingError, match="has no scheme"):
        sources.find(CameraSettings(source="clip.mp4"))


def test_a_password_is_never_shown() -> None:
    settings = CameraSettings(source="rtsp://me:secret@cam/live")
    assert sources.shown(settings) == "rtsp://me:***@cam/live"


def test_the_test_source_makes_what_is_asked() -> None:
    text = text_of(source="test://ball", image_width=320, image_height=200, framerate=12.5)
    assert "pattern=ball" in text
    assert "width=320,height=200,framerate=25/2" in text
    assert "videoscale" not in text
    with pytest.raises(SettingError, match="unknown test pattern"):
        text_of(source="test://bawl")


@pytest.mark.parametrize("name", ["/dev/video2", "v4l2:///dev/video2", "v4l2://2", "v4l2://video2"])
def test_a_v4l2_device_may_be_written_in_every_usual_way(name: str) -> None:
    assert 'v4l2src device="/dev/video2"' in text_of(source=name)


def test_v4l2_asks_the_device_for_size_rate_and_format() -> None:
    text = text_of(source="v4l2:///dev/video0", image_width=640, image_height=480, framerate=15, pixel_format="yuyv")
    assert "video/x-raw,format=YUY2,width=640,height=480,framerate=15/1" in text
    assert "videoscale" not in text


def test_v4l2_takes_jpeg_where_raw_would_not_fit_the_bus() -> None:
    settings = CameraSettings(source="v4l2:///dev/video0", image_width=1920, image_height=1080)
    plan = sources.plan(settings, everything)
    assert plan.codec == "jpeg"
    assert jpeg_as_is(plan, settings)
    assert "jpegdec" not in compose(plan, settings, everything)  # decoded only when somebody wants pixels
    turned = settings.changed(flip_method="rotate-180")
    assert "jpegdec ! videoflip method=rotate-180" in compose(plan, turned, everything)


def test_a_file_is_scaled_after_decoding_and_paced_by_its_clock(tmp_path: Path) -> None:
    text = text_of(source=f"file://{tmp_path}/a b!.mp4", image_width=320, image_height=240)
    assert f'uri="file://{tmp_path}/a%20b%21.mp4"' in text
    assert "videoscale ! video/x-raw,width=320,height=240,pixel-aspect-ratio=1/1" in text
    assert "sync=true" in text
    assert "sync=false" in text_of(source=f"file://{tmp_path}/a.mp4", realtime=False)


def test_a_file_that_is_not_there_or_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=f"no such file; the nearest folder there is is {tmp_path}"):
        sources.look(CameraSettings(source=f"file://{tmp_path}/sub/none.mp4"))
    with pytest.raises(SettingError, match="is a folder"):
        sources.look(CameraSettings(source=f"file://{tmp_path}"))


def test_bayer_is_passed_through_or_refused() -> None:
    text = text_of(source="v4l2:///dev/video0", image_encoding="bayer_rggb8")
    assert "capsfilter caps=video/x-bayer,format=rggb" in text
    with pytest.raises(SettingError, match="cannot be turned"):
        text_of(source="v4l2:///dev/video0", image_encoding="bayer_rggb8", flip_method="clockwise")
    with pytest.raises(SettingError, match="does not give bayer"):
        text_of(source="file:///a.mp4", image_encoding="bayer_rggb8")


def test_element_names_are_found_among_quotes_blanks_and_caps() -> None:
    text = 'filesrc location="/a cool ! file" ! video/x-raw,format=(string){ I420, NV12 } ! tee name=t t. ! fakesink'
    assert gst.element_names(text) == ["filesrc", "tee", "fakesink"]
