"""A password is in no error text, whichever way the pipeline got it."""

from __future__ import annotations

import pytest
from edgecam_core.camera import sources
from edgecam_core.camera.plan import compose
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.errors import PipelineError
from edgecam_core.masking import masked
from edgecam_core.media import gst

LOGIN = 'rtspsrc location="rtsp://cam/live" user-id="me" user-pw="top secret\\" 1" protocols=tcp'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (LOGIN, 'rtspsrc location="rtsp://cam/live" user-id="me" user-pw="***" protocols=tcp'),
        ("souphttpsrc user-pw=secret ! fakesink", 'souphttpsrc user-pw="***" ! fakesink'),
        ("souphttpsrc proxy-pw = 'secret' ! fakesink", 'souphttpsrc proxy-pw = "***" ! fakesink'),
        ('uri="https://me:secret@cam/x.m3u8" a', 'uri="https://me:***@cam/x.m3u8" a'),
        ("no login at http://cam:8080/a@b", "no login at http://cam:8080/a@b"),
    ],
)
def test_only_the_password_is_hidden(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize("head", [LOGIN, 'souphttpsrc location="http://me:secret@cam/x"'])
def test_no_pipeline_error_tells_a_password(head: str) -> None:
    with pytest.raises(PipelineError) as refused:
        gst.Pipeline(f"{head} ! capsfilter no-such-property=1 ! fakesink")
    pipeline = gst.Pipeline(f"{head} ! fakesink")
    with pytest.raises(PipelineError) as missing:
        pipeline.element("nobody")
    for error in (refused, missing):
        assert "secret" not in str(error.value)
        assert "***" in str(error.value)


def test_a_source_is_shown_without_a_password() -> None:
    assert "secret" not in sources.shown(CameraSettings(source=f"pipeline:{LOGIN} ! decodebin"))


def test_a_login_with_special_characters_stays_one_address() -> None:
    settings = CameraSettings(source="http://m%40e:p%2Fs%40s@cam/x.m3u8")
    text = compose(sources.plan(settings, gst.has_element), settings, gst.has_element)
    assert 'uri="http://m%40e:p%2Fs%40s@cam/x.m3u8"' in text
    assert 'uri="http://m%40e:***@cam/x.m3u8"' in masked(text)
