"""edgecam show: on the viewer's page without a display, in a window with one (a virtual X server)."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import forked
import pytest
from camera_process import LONG, camera_nodes
from camera_servers import HttpResponse, red_jpeg, web_server
from clips import make_clip
from edgecam_core.media import gst
from network import free_tcp_port, free_udp_port
from ros_peer import Peer
from sensor_msgs.msg import Image
from std_msgs.msg import String
from waiting import wait_until

SHOW = [sys.executable, "-m", "edgecam_core.cli.main", "show"]


def without_display() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}


def test_without_a_display_the_page_shows_it() -> None:
    port = free_tcp_port()
    command = [*SHOW, "test://ball", "--port", str(port), "--set", "image_width=64", "--set", "image_height=48"]
    show = forked.Popen(command, env=without_display(), stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:

        def page() -> bytes:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
                    return bytes(answer.read())
            except OSError:
                return b""

        assert b"<html" in wait_until(page, LONG, "the page")
        os.killpg(show.pid, signal.SIGINT)
        out, _ = show.communicate(timeout=LONG)
        assert show.returncode == 0
        assert "there is no display (" in out
        assert f"http://127.0.0.1:{port}" in out
    finally:
        show.kill()
        show.wait()


def warning_like(expected: str, show: subprocess.Popen[str]) -> None:
    """Wait for a line that names what is missing; then Ctrl-C. Discovery may change the line."""
    assert show.stderr is not None
    lines: list[str] = []
    try:
        for line in show.stderr:
            lines.append(line)
            if re.search(f"^waiting: {expected}", line):
                return
        raise AssertionError("".join(lines))
    finally:
        os.killpg(show.pid, signal.SIGINT)
        show.communicate(timeout=LONG)


def show_topic(topic: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return forked.Popen(
        [*SHOW, topic, *arguments], env={**without_display(), **environment}, text=True, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_a_topic_without_a_publisher_is_named_on_the_terminal() -> None:
    show = show_topic("camera/nothing", "--viewer", "--port", str(free_tcp_port()))
    warning_like("/camera/nothing has no publisher", show)


@pytest.fixture
def display() -> Iterator[str]:
    """A virtual X server."""
    if shutil.which("Xvfb") is None or not gst.has_element("ximagesink"):
        pytest.skip("needs Xvfb and ximagesink: sudo apt-get install xvfb gstreamer1.0-x")
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", "1", "-screen", "0", "320x240x24", "-nolisten", "tcp", "-noreset"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        yield f":{server.stdout.readline().strip()}"
    finally:
        server.terminate()
        server.wait()


def wait_for_red(display: str) -> None:
    """Wait until red fills a fifth of the screen, captured by GStreamer."""
    if not gst.has_element("ximagesrc"):
        pytest.skip("needs ximagesrc")
    os.environ["DISPLAY"] = display
    pipeline = gst.Pipeline(
        "ximagesrc use-damage=false ! video/x-raw,framerate=5/1 ! videoconvert ! video/x-raw,format=BGR ! "
        "appsink name=sink max-buffers=1 drop=true"
    )

    def is_red() -> bool:
        sample = pipeline.pull(LONG)
        assert sample is not None
        with sample:
            pixels = sample.data.reshape(sample.height, sample.width, 3).astype(int)
            return float(((pixels[:, :, 2] > 200) & (pixels[:, :, :2].max(axis=2) < 60)).mean()) > 0.2

    try:
        pipeline.start()
        wait_until(is_red, LONG, "red on the screen")
    finally:
        pipeline.stop()
        del os.environ["DISPLAY"]


@pytest.mark.parametrize("what", ["test://red", "/camera/image_raw"])
def test_with_a_display_a_window_shows_it_and_the_pipeline_is_printed(display: str, what: str) -> None:
    size = [] if what.startswith("/") else ["--set", "image_width=160", "--set", "image_height=120"]
    with camera_nodes() as start:
        if not size:
            start(source="test://red", image_width=160, image_height=120)
        show = forked.Popen(
            [*SHOW, what, *size], env={**without_display(), "DISPLAY": display}, stdout=subprocess.PIPE, text=True
        )
        try:
            wait_for_red(display)
            show.send_signal(signal.SIGINT)
            out, _ = show.communicate(timeout=LONG)
            assert show.returncode == 0
            assert re.search(r"sink: auto → \w+sink, because", out)
            assert re.search(r"gst-launch-1.0 .*sink sync=false", out)
        finally:
            show.kill()
            show.wait()


@pytest.mark.parametrize("name", ["video", "snapshot"])
def test_an_address_is_shown_according_to_its_content_type(display: str, name: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", codec="h264", pattern="red", frames=600, rate=5).read_bytes()
    jpeg = red_jpeg()
    pages = {
        "/video": HttpResponse("video/mp4", [clip], length=True),
        "/snapshot": HttpResponse("image/jpeg", [jpeg], length=True),
    }
    with web_server(pages) as (port, _asked):
        command = [*SHOW, f"http://127.0.0.1:{port}/{name}"]
        show = forked.Popen(command, env={**without_display(), "DISPLAY": display}, stdout=subprocess.DEVNULL)
        try:
            wait_for_red(display)
        finally:
            show.kill()
            show.wait()


def test_a_window_names_another_type_and_other_topics(display: str, peer: Peer) -> None:
    peer.node.create_publisher(String, "/words", 1)
    peer.node.create_publisher(Image, "/images", 1)
    expected = "topic /words has type std_msgs/msg/String, not"
    warning_like(expected, show_topic("/words", DISPLAY=display))
    expected = "/nothing has no publisher; sensor_msgs/msg/Image is published on .*/images"
    warning_like(expected, show_topic("/nothing", DISPLAY=display))


def test_an_rtp_stream_is_shown_through_our_receiver(display: str) -> None:
    port = free_udp_port()
    stream = gst.Pipeline(
        "videotestsrc is-live=true pattern=red ! video/x-raw,format=I420,width=160,height=120,framerate=15/1 ! "
        "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph265pay config-interval=1 ! "
        f"udpsink host=127.0.0.1 port={port} sync=false"
    )
    environment = {**without_display(), "DISPLAY": display}
    show = forked.Popen([*SHOW, f"rtp://@:{port}"], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        stream.start()
        wait_for_red(display)
        show.send_signal(signal.SIGINT)
        out, _ = show.communicate(timeout=LONG)
        assert show.returncode == 0
        assert re.search(r"running: 160x120 .* 0 lost", out)
    finally:
        stream.stop()
        show.kill()
        show.wait()


def test_the_printed_pipeline_runs_in_gst_launch_and_hides_the_password(display: str) -> None:
    environment = {**without_display(), "DISPLAY": display}

    def reported(*arguments: str) -> str:
        done = forked.run(
            [*SHOW, *arguments, "--dry-run"], env=environment, capture_output=True, text=True, timeout=LONG
        )
        assert done.returncode == 0, done.stderr
        return next(line for line in done.stdout.splitlines() if line.startswith("gst-launch"))

    line = reported("test://ball", "--set", "flip_method=rotate-180")
    assert "videoflip video-direction=180" in line
    line = re.sub(r"\w+sink sync=false", "fakesink", line.replace("videotestsrc", "videotestsrc num-buffers=5"))
    assert subprocess.run(line, shell=True, timeout=LONG, stdout=subprocess.DEVNULL).returncode == 0
    for source in ("rtsp://me:secret@cam/live", "http://me:secret@cam/live.m3u8", "http://me:secret@cam/live"):
        shown = reported(source)
        assert "secret" not in shown
        assert "***" in shown
