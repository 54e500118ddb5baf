"""The RTSP server: foreign clients watch the sender's stream."""

from __future__ import annotations

import gc
import os
import socket
import struct
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from edgecam_core.errors import MissingDependency, SettingError
from edgecam_core.media import gst
from edgecam_core.rtp.sender import Sender
from edgecam_core.rtp.settings import SenderSettings
from network import free_tcp_port, free_udp_port
from rtp_scene import index_of, pixels_of, psnr, sending
from test_rtp_foreign import FFMPEG, needs_ffmpeg, program
from waiting import wait_until

try:
    gst.library("GstRtspServer")
except (MissingDependency, ImportError):
    pytest.skip("GStreamer's RTSP server library is not installed", allow_module_level=True)


def gstreamer_client(port: int, codec: str, transport: str, folder: Path) -> AbstractContextManager[object]:
    """Runs rtspsrc, which writes every frame as a PNG file."""
    text = (
        f"rtspsrc location=rtsp://127.0.0.1:{port}/camera protocols={transport} latency=50 ! rtp{codec}depay ! "
        f"{codec}parse ! avdec_{codec} ! videoconvert ! pngenc ! multifilesink location={folder}/%03d.png"
    )
    return program("gst-launch-1.0", "-q", *text.split())


@pytest.mark.parametrize("codec", ["h265", "h264"])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_gstreamer_clients_watch(codec: str, transport: str, tmp_path: Path) -> None:
    port = free_tcp_port()
    with sending(free_udp_port(), codec=codec, rtsp_port=port, keyframe_interval=3000) as feed:
        with gstreamer_client(port, codec, transport, tmp_path):
            wait_until(lambda: len(list(tmp_path.glob("*.png"))) >= 15, what="frames of rtspsrc")
            assert feed.sender.stats().rtsp_clients == 1
        wait_until(lambda: feed.sender.stats().rtsp_clients == 0, 120, what="the client to be gone")
    numbers = [index_of(cv2.imread(str(path))) for path in sorted(tmp_path.glob("*.png"))[:14]]
    assert np.diff(numbers).min() >= 1


def test_frames_coded_while_the_pipeline_starts_do_not_delay_the_stream(tmp_path: Path) -> None:
    port, held = free_tcp_port(), threading.Event()

    def hold(_bus: Any, _message: Any) -> None:
        """Wait for frames in the state change, after the elements have received the clock."""
        before = feed.sender.stats().frames_sent
        wait_until(lambda: feed.sender.stats().frames_sent > before + 3, what="frames during the state change")
        held.set()

    def configure(_factory: Any, media: Any) -> None:
        bus = media.get_element().get_parent().get_bus()
        bus.enable_sync_message_emission()
        bus.connect("sync-message::new-clock", hold)

    with sending(free_udp_port(), rtsp_port=port, keyframe_interval=3000) as feed:
        assert feed.sender._rtsp is not None
        factory = feed.sender._rtsp._server.get_mount_points().match("/camera")[0]
        factory.connect("media-configure", configure)
        with gstreamer_client(port, "h265", "tcp", tmp_path):
            wait_until(lambda: list(tmp_path.glob("*.png")), what="a frame of rtspsrc")
    assert held.is_set()


class InterleavedClient:
    """An RTSP client with RTP in the RTSP connection; ``times`` has the RTP timestamp of each frame received."""

    def __init__(self, port: int) -> None:
        self.url = f"rtsp://127.0.0.1:{port}/camera"
        self.times: list[int] = []
        self._socket = socket.create_connection(("127.0.0.1", port), 120)
        self._file = self._socket.makefile("rb")
        self._sequence = 0
        self._session = ""

    def request(self, method: str, suffix: str = "", *headers: str) -> str:
        """Send a request and read until its response; returns the response, without its headers."""
        self._sequence += 1
        lines = [f"{method} {self.url}{suffix} RTSP/1.0", f"CSeq: {self._sequence}", *headers, self._session]
        self._socket.sendall("\r\n".join([line for line in lines if line] + ["", ""]).encode())
        while (first := self._file.read(1)) == b"$":
            self._packet()
        assert (first + self._file.readline()).startswith(b"RTSP/1.0 200"), method
        size = 0
        while line := self._file.readline().decode().strip():
            name, _, value = line.partition(":")
            if name == "Session":
                self._session = line.partition(";")[0]
            elif name == "Content-Length":
                size = int(value)
        return self._file.read(size).decode()

    def play(self) -> None:
        track = next(
            line.rpartition(":")[2]
            for line in reversed(self.request("DESCRIBE", "", "Accept: application/sdp").splitlines())
            if line.startswith("a=control:")
        )
        self.request("SETUP", f"/{track}", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
        self.request("PLAY")

    def read(self, frames: int) -> None:
        """Read so many more frames."""
        target = len(self.times) + frames
        while len(self.times) < target:
            assert self._file.read(1) == b"$"
            self._packet()

    def _packet(self) -> None:
        channel, size = struct.unpack(">BH", self._file.read(3))
        packet = self._file.read(size)
        if channel == 0 and (time := struct.unpack_from(">I", packet, 4)[0]) not in self.times[-1:]:
            self.times.append(time)

    def __enter__(self) -> InterleavedClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()


def test_a_client_that_paused_does_not_get_what_it_missed() -> None:
    port = free_tcp_port()
    with sending(free_udp_port(), rtsp_port=port, keyframe_interval=3000) as feed:
        stats = feed.sender.stats
        with InterleavedClient(port) as client:
            client.play()
            client.read(5)
            client.request("PAUSE")
            paused = stats().frames_sent
            wait_until(lambda: stats().frames_sent >= paused + 20, what="frames sent during the pause")
            before = stats().frames_sent
            client.request("PLAY")
            client.read(20)
            assert stats().frames_sent - before >= 18  # the last two may be on their way when the counter is read


SIZE = 320 * 240 * 3


@needs_ffmpeg
def test_a_client_that_joins_later_gets_a_keyframe(tmp_path: Path) -> None:
    port = free_tcp_port()
    url = f"rtsp://127.0.0.1:{port}/front/left"

    def watch(file: Path) -> AbstractContextManager[object]:
        return program(*FFMPEG, "-rtsp_transport", "tcp", "-i", url, "-f", "rawvideo", "-pix_fmt", "bgr24", str(file))

    def shown(file: Path) -> int:
        return file.stat().st_size // SIZE if file.exists() else 0

    def quality(file: Path) -> float:
        """PSNR in dB of the newest frame; ffmpeg also shows what it decodes without a keyframe."""
        newest = np.fromfile(file, np.uint8, SIZE, offset=(shown(file) - 1) * SIZE).reshape(240, 320, 3)
        return psnr(newest, pixels_of(index_of(newest)))

    one, two = tmp_path / "one.bgr", tmp_path / "two.bgr"
    with sending(free_udp_port(), rtsp_port=port, rtsp_path="front/left", keyframe_interval=3000), watch(one):
        wait_until(lambda: shown(one) > 10, what="frames of the first client")
        with watch(two):
            wait_until(lambda: shown(two) and quality(two) > 25, what="an intact frame of the second client")
            before = shown(one)
            wait_until(lambda: shown(one) > before and quality(one) > 25, what="more frames of the first client")


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
