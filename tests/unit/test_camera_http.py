"""HTTP sources against small real servers: the response decides the type of the stream, never the URL."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from camera_servers import PASSWORD, USER, HttpResponse, hls_server, red_jpeg, web_server
from clips import make_clip
from edgecam_core.camera.capture import Camera
from edgecam_core.camera.captured_frame import CapturedFrame
from edgecam_core.camera.jpeg_stream import JpegSplitter
from edgecam_core.camera.settings import CameraSettings
from network import free_tcp_port
from waiting import wait_until

JPEG = red_jpeg()


class HttpCamera:
    """A camera with its frames and reports."""

    def __init__(self, **settings: object) -> None:
        self.images: list[np.ndarray] = []
        self.problems: list[str] = []
        self._changed = threading.Event()
        self.camera = Camera(CameraSettings.from_mapping(settings), self._take, on_event=self._note)
        self.camera.start()

    def _take(self, frame: CapturedFrame) -> None:
        self.images.append(frame.frame("bgr8").array().copy())

    def _note(self, is_problem: bool, text: str) -> None:
        if is_problem:
            self.problems.append(text)

    def expect(self, count: int) -> None:
        """Wait for ``count`` frames, all red; 1 for a clip, because a slow reader skips frames."""
        try:
            wait_until(lambda: len(self.images) >= count or self.problems, 60, f"{count} frames")
            assert len(self.images) >= count, self.problems
            for image in self.images:
                assert np.abs(image.reshape(-1, 3).mean(axis=0) - (0, 0, 254)).max() < 12
        finally:
            self.camera.stop()

    def expect_problem(self) -> str:
        try:
            wait_until(lambda: self.problems, 60, "a problem")
            return self.problems[0]
        finally:
            self.camera.stop()


def part(head: bytes) -> bytes:
    return head.replace(b"LENGTH", str(len(JPEG)).encode()) + JPEG


DIALECTS = {
    "as specified": ("multipart/x-mixed-replace; boundary=frame",
                        part(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: LENGTH\r\n\r\n") + b"\r\n"),
    "first boundary missing": ("multipart/x-mixed-replace; boundary=frame",
                               part(b"Content-Type: image/jpeg\r\n\r\n") + b"\r\n--frame\r\n"),
    "parts are image/jpg": ("multipart/x-mixed-replace;boundary=--frame",
                            part(b"--frame\r\nContent-Type: image/jpg\r\n\r\n")),
    "another boundary": ("multipart/x-mixed-replace; boundary=frame",
                         part(b"\r\n--other\r\nContent-Type: image/jpeg\r\n\r\n")),
    "a quoted boundary": ('multipart/x-mixed-replace; boundary="a b"',
                          part(b"--a b\nContent-type: image/jpeg\n\n") + b"\n"),
    "no type at all": ("", part(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n")),
    "images and nothing between": ("video/x-motion-jpeg", JPEG),
    "wrong length": ("multipart/x-mixed-replace; boundary=frame",
                     b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 5\r\n\r\n" + JPEG),
}  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_variant_of_mjpeg_plays(dialect: str) -> None:
    content_type, piece = DIALECTS[dialect]
    with web_server({"/video": HttpResponse(content_type, [piece], endless=True)}) as (port, _asked):
        HttpCamera(source=f"http://127.0.0.1:{port}/video").expect(5)


def test_a_still_image_is_requested_at_the_frame_rate() -> None:
    with web_server({"/snapshot": HttpResponse("image/jpeg", [JPEG], length=True)}) as (port, asked):
        HttpCamera(source=f"http://127.0.0.1:{port}/snapshot?size=1", framerate=20.0).expect(4)
        assert len(asked) >= 5  # one more request to determine the type
        assert asked[0] == "/snapshot?size=1"


def test_a_video_plays_under_any_name(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", codec="h264", pattern="red").read_bytes()
    with web_server({"/video": HttpResponse("video/mp4", [clip], length=True)}) as (port, _asked):
        HttpCamera(source=f"http://127.0.0.1:{port}/video").expect(1)
    with web_server({"/download": HttpResponse("application/octet-stream", [clip], length=True)}) as (port, _asked):
        HttpCamera(source=f"http://127.0.0.1:{port}/download").expect(1)


def test_hls_plays_under_any_name(tmp_path: Path) -> None:
    with hls_server(tmp_path) as port:
        (tmp_path / "channel1").write_text((tmp_path / "live.m3u8").read_text())
        HttpCamera(source=f"http://127.0.0.1:{port}/channel1").expect(1)


def test_redirects_are_followed() -> None:
    stream = HttpResponse(*DIALECTS["as specified"][:1], [DIALECTS["as specified"][1]], endless=True)
    pages = {
        "/a": HttpResponse(status=302, location="/b?x=1"),
        "/b": HttpResponse(status=307, location="video"),
        "/video": stream,
        "/loop": HttpResponse(status=301, location="/loop"),
    }
    with web_server(pages) as (port, _asked):
        HttpCamera(source=f"http://127.0.0.1:{port}/a").expect(3)
        assert "redirects more than" in HttpCamera(source=f"http://127.0.0.1:{port}/loop").expect_problem()


@pytest.mark.parametrize("login", ["basic", "digest"])
def test_passwords_with_any_character_log_in(login: str) -> None:
    page = HttpResponse(DIALECTS["as specified"][0], [DIALECTS["as specified"][1]], endless=True, login=login)
    snapshot = HttpResponse("image/jpeg", [JPEG], length=True, login=login)
    with web_server({"/video": page, "/still": snapshot}) as (port, _asked):
        for path in ("video", "still"):
            source = f"http://127.0.0.1:{port}/{path}"
            HttpCamera(source=source, rtsp_user=USER, rtsp_password=PASSWORD).expect(2)
        HttpCamera(source=f"http://me:p%40ss%3A%2F%3F%23@127.0.0.1:{port}/video").expect(2)
        refused = HttpCamera(
            source=f"http://127.0.0.1:{port}/video", rtsp_user=USER, rtsp_password="wrong"
        ).expect_problem()
        assert "refuses this user and password" in refused
        assert "requires a user and password" in HttpCamera(source=f"http://127.0.0.1:{port}/video").expect_problem()


@pytest.mark.parametrize(
    ("page", "reported"),
    [
        (HttpResponse("text/html", [b"<html>camera</html>"]), "is a web page, not video"),
        (HttpResponse("application/json", [b"{}"]), "is application/json, not video"),
        (HttpResponse("image/png", [b"\x89PNG\r\n\x1a\n" + b"0" * 600]), "only JPEG"),
        (HttpResponse("video/mp4", [b""], length=True), "is empty"),
        (HttpResponse(status=404), "HTTP status 404"),
        (HttpResponse(status=503), "HTTP status 503"),
    ],
)
def test_a_file_that_is_not_a_video_is_reported(page: HttpResponse, reported: str) -> None:
    with web_server({"/x": page}) as (port, _asked):
        assert reported in HttpCamera(source=f"http://127.0.0.1:{port}/x").expect_problem()


def test_an_unreachable_server_is_reported_and_retried() -> None:
    assert "is the server running" in HttpCamera(source=f"http://127.0.0.1:{free_tcp_port()}/x").expect_problem()


def test_a_silent_server_does_not_delay_the_stop() -> None:
    with web_server({"/x": HttpResponse("multipart/x-mixed-replace", [], endless=True)}) as (port, asked):
        watched = HttpCamera(source=f"http://127.0.0.1:{port}/x")
        wait_until(lambda: asked)
        before = time.monotonic()
        watched.camera.stop()
        assert time.monotonic() - before < 5


def chunks(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 7, 1000, 100_000])
def test_images_are_found_however_the_bytes_arrive(size: int) -> None:
    noisy = np.random.default_rng(1).integers(0, 256, (64, 80, 3), np.uint8)
    thumbnail = b"\xff\xe1" + (len(JPEG) + 2).to_bytes(2, "big") + JPEG  # a thumbnail inside the image
    other = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 100, cv2.IMWRITE_JPEG_RST_INTERVAL, 2])[1].tobytes()
    other = other[:2] + thumbnail + other[2:]
    stream = b"\xff\r\n--x\r\n\r\n" + JPEG + b"--x\xff\r\n" + other + JPEG[:-30] + other + JPEG
    splitter = JpegSplitter()
    found = [image for chunk in chunks(stream, size) for image in splitter.feed(chunk)]
    assert found == [JPEG, other, other, JPEG]
