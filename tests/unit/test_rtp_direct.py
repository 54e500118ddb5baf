"""Direct mode: camera frames go to the encoder without a copy if it accepts their format."""

from __future__ import annotations

import numpy as np
import pytest
from edgecam_core.camera.capture import Camera
from edgecam_core.camera.captured_frame import CapturedFrame
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.media import gst
from edgecam_core.rtp.sender import Sender
from edgecam_core.rtp.settings import SenderSettings
from network import free_udp_port
from rtp_scene import receiving
from waiting import wait_until

from edgecam_rtp import direct


@pytest.mark.parametrize(
    ("caps", "as_is"),
    [
        ("format=I420,width=320,height=240,colorimetry=bt601", True),
        ("format=I420,width=322,height=242,colorimetry=bt601", True),
        ("format=I420,width=320,height=240,colorimetry=bt709", False),
        ("format=I420,width=321,height=240,colorimetry=bt601", False),
        ("format=NV12,width=320,height=240,colorimetry=bt601", False),
        ("format=BGR,width=320,height=240", False),
    ],
)
def test_only_caps_that_the_encoder_accepts_are_passed_unchanged(caps: str, as_is: bool) -> None:
    pipeline = gst.Pipeline(f"videotestsrc num-buffers=1 ! video/x-raw,{caps} ! appsink name=sink async=false")
    pipeline.start()
    sample = pipeline.pull(120.0)
    assert sample is not None
    with sample:
        planes = direct.encoder_planes(sample)
        assert (planes is not None) == as_is
        assert planes is None or np.shares_memory(planes, sample.data)
    pipeline.stop()


def test_a_camera_through_sender_and_receiver_keeps_its_capture_time() -> None:
    port = free_udp_port()
    sender = Sender(SenderSettings(port=port))
    stamps: list[int] = []

    def take(frame: CapturedFrame) -> None:
        stamps.append(frame.stamp_ns)
        direct.send(sender, frame)

    sender.start()
    camera = Camera(CameraSettings(source="test://smpte", image_width=320, image_height=240), take)
    camera.start()
    try:
        with receiving(port) as (_, reader):
            wait_until(lambda: len(reader.seen) >= 10)
    finally:
        camera.stop()
        sender.stop()
    assert {stamp for stamp, _, _ in reader.seen} <= set(stamps)
    assert reader.newest is not None
    yellow = reader.newest.bgr()[60, 66].astype(int)
    assert yellow[0] < 30
    assert yellow[1] > 180
    assert yellow[2] > 180
