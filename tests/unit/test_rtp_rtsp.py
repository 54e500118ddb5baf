"""The RTSP server: foreign clients watch the sender's stream."""

from __future__ import annotations

import gc
import os
import socket
from pathlib import Path

import cv2
import numpy as np
import pytest
from edgecam_core.errors import MissingDependency, SettingError
from edgecam_core.media import gst
from edgecam_core.rtp.sender import Sender
from edgecam_core.rtp.settings import SenderSettings
from network import free_tcp_port, free_udp_port
from rtp_scene import index_of, sending
from test_rtp_foreign import FFMPEG, needs_ffmpeg, program
from waiting import wait_until

try:
    gst.library("GstRtspServer")
except (MissingDependency, ImportError):
    pytest.skip("GStreamer's RTSP server library is not installed", allow_module_level=True)


@pytest.mark.parametrize("codec", ["h265", "h264"])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_gstreamer_clients_watch(codec: str, transport: str, tmp_path: Path) -> None:
    port = free_tcp_port()
    out = tmp_path / "%03d.png"
    text = (
        f"rtspsrc location=rtsp://127.0.0.1:{port}/camera protocols={transport} latency=50 ! rtp{codec}depay ! "
        f"{codec}parse ! avdec_{codec} ! videoconvert ! pngenc ! multifilesink location={out}"
    )
    with sending(free_udp_port(), codec=codec, rtsp_port=port, keyframe_interval=3000) as feed:
        with program("gst-launch-1.0", "-q", *text.split()):
            wait_until(lambda: len(list(tmp_path.glob("*.png"))) >= 15, what="frames of rtspsrc")
            assert feed.sender.stats().rtsp_clients == 1
        wait_until(lambda: feed.sender.stats().rtsp_clients == 0, 120, what="the client to be gone")
    numbers = [index_of(cv2.imread(str(path))) for path in sorted(tmp_path.glob("*.png"))[:14]]
    assert np.diff(numbers).min() >= 1


@needs_ffmpeg
def test_two_clients_at_a_time(tmp_path: Path) -> None:
    port = free_tcp_port()
    files = [tmp_path / "one.bgr", tmp_path / "two.bgr"]
    url = f"rtsp://127.0.0.1:{port}/front/left"
    ends = [
        [*FFMPEG, "-rtsp_transport", "tcp", "-i", url, "-f", "rawvideo", "-pix_fmt", "bgr24", str(f)] for f in files
    ]
    with (
        sending(free_udp_port(), rtsp_port=port, rtsp_path="front/left", keyframe_interval=15),
        program(*ends[0]),
        program(*ends[1]),
    ):
        wait_until(lambda: all(f.exists() and f.stat().st_size > 10 * 320 * 240 * 3 for f in files), 120)


def test_a_port_in_use_is_reported() -> None:
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        port = other.getsockname()[1]
        sender = Sender(SenderSettings(port=free_udp_port(), rtsp_port=port))
        with pytest.raises(SettingError, match=f"parameter 'rtsp_port' is {port}: is in use"):
            sender.start()
        sender.stop()


def test_the_port_and_all_resources_are_free_after_stop() -> None:
    port, before = free_tcp_port(), 0
    for _ in range(3):
        sender = Sender(SenderSettings(port=free_udp_port(), rtsp_port=port))
        sender.start()
        sender.stop()
        del sender
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) <= (before or 1000)
        before = len(os.listdir("/proc/self/fd"))


def test_an_encrypted_stream_is_not_served_in_the_clear() -> None:
    with pytest.raises(SettingError, match=r"rtsp_port.*unencrypted"):
        SenderSettings(rtsp_port=8554, srtp_key="/some/key")
    with pytest.raises(SettingError, match=r"rtsp_path"):
        SenderSettings(rtsp_path="a b")
