"""H.264 over WebRTC to a real browser: it plays, boxes match the objects, one encoder serves all, fallback works."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import Browser, Page, executable
from edgecam_core.errors import MissingDependency
from edgecam_core.types import Frame
from edgecam_ros.faults import FaultLog
from edgecam_viewer.encoder import JpegEncoder
from edgecam_viewer.feed import AnnotatedFrame
from edgecam_viewer.hub import Hub
from edgecam_viewer.peer import require
from edgecam_viewer.server import WebServer
from edgecam_viewer.settings import ViewerSettings
from edgecam_viewer.status import CameraStats
from edgecam_viewer.video import Video
from edgecam_viewer.wire import found_list
from viewer_page import MOVING, frozen_box
from viewer_scene import SIDE, found, pixels_of
from waiting import wait_until


def missing() -> str:
    try:
        require()
    except MissingDependency as error:
        return str(error)
    return "" if executable() else "needs chromium (apt-get install chromium)"


pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.asyncio(loop_scope="module"),
]

RATE = 10  # frames per second
PLAYING = "edgecam.videos.get(0)?.playing && edgecam.cameras[0].shown > 3"
DECODED = """(async () => {
  const stats = await edgecam.videos.get(0).connection.getStats();
  return [...stats.values()].find((one) => one.type === "inbound-rtp").framesDecoded;
})()"""


class Refusing:
    def ask(self, request: dict[str, Any], answer: Callable[[dict[str, Any]], None]) -> None:
        raise AssertionError(f"unexpected request {request}")


class ServedVideo:
    """The web server with a moving frame at 10 Hz and its detections, without ROS."""

    def __init__(self, webrtc: bool = True, **settings: Any) -> None:
        self.settings = ViewerSettings(port=0, **settings)
        self.hub = Hub(1, 8)
        self.failed: list[str] = []
        faults = FaultLog(self.failed.append)
        self.video = Video(self.settings, self.hub, faults) if webrtc else None
        self.server = WebServer(self.settings, self.hub, Refusing(), faults, self.video)
        self.jpeg = JpegEncoder(self.hub.publish, faults, 80, 1280)
        self.jpegs = 0
        self._ending = threading.Event()
        self._source = threading.Thread(target=self._publish)

    def __enter__(self) -> ServedVideo:
        self.jpeg.start()
        self.server.start()
        self._source.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ending.set()
        self._source.join()
        self.jpeg.stop()
        self.server.stop()
        if self.video is not None:
            self.video.stop()
        assert self.failed == []

    def _publish(self) -> None:
        stats, count = CameraStats("camera"), 0
        while not self._ending.wait(1 / RATE):
            now = time.monotonic()
            stats.frame(now)
            frame = Frame.from_array(pixels_of(count), "bgr8", time.time_ns(), "camera")
            annotated = AnnotatedFrame(frame, found_list(found(count)))
            if self.hub.watchers[0]:
                self.jpegs += 1
                self.jpeg.submit(0, annotated)
            if self.video is not None and self.hub.video[0]:
                self.video.submit(0, annotated)
            if count % RATE == 0:
                camera = {**stats.as_dict(now), "stages": {}, "losses": {}, "recording": "", "saving": False}
                status = {"type": "status", "cameras": [camera], "nodes": [], "webrtc": self.video is not None}
                self.hub.note("status", json.dumps(status))
            count += 1

    def facts(self) -> dict[str, object]:
        assert self.video is not None
        return self.video.facts(time.monotonic())


@pytest.fixture
def served() -> Iterator[ServedVideo]:
    with ServedVideo() as one:
        yield one


@pytest.mark.parametrize("webrtc", [True, False], ids=["webrtc", "frames"])
async def test_it_moves_and_boxes_match_the_objects(page: Page, tmp_path: Path, webrtc: bool) -> None:
    with ServedVideo(webrtc) as served:
        await page.open(served.server.url)
        if webrtc:
            await page.wait_for(PLAYING)
            before = await page.evaluate(DECODED)
            await page.wait_for(f"({DECODED}).then((frames) => frames > {before} + 10)")
            await asyncio.to_thread(wait_until, lambda: not served.hub.watchers[0])  # no more frames
        await page.wait_for(MOVING)
        await page.becomes("edgecam.videos.size", int(webrtc))
        await page.wait_for("edgecam.cameras[0].latency > 0")
        await page.wait_for(f"document.querySelector('#state span').textContent === 'live{', WebRTC' * webrtc}'")
        drawn = await frozen_box(page, tmp_path / "page.png")
        assert page.problems == []
    assert drawn["label"] == "giraffe"
    assert drawn["box"][2] - drawn["box"][0] == SIDE


async def test_a_second_viewer_adds_no_encoder_and_leaving_frees_it(
    page: Page, browser: Browser, served: ServedVideo
) -> None:
    await page.open(served.server.url)
    await page.wait_for(PLAYING)
    async with browser.tab() as second:
        await second.open(served.server.url)
        await second.wait_for(PLAYING)
        two = {"webrtc_connections": 2, "video_encoders": 1}
        await asyncio.to_thread(wait_until, lambda: two.items() <= served.facts().items())
    await asyncio.to_thread(wait_until, lambda: served.facts()["webrtc_connections"] == 1)
    shown = await page.evaluate("edgecam.cameras[0].shown")
    await page.wait_for(f"edgecam.cameras[0].shown > {shown} + 3")
    await page.evaluate("location.href = 'about:blank'")
    gone = {"webrtc_connections": 0, "video_encoders": 0}
    await asyncio.to_thread(wait_until, lambda: gone.items() <= served.facts().items())
    await asyncio.to_thread(wait_until, lambda: "video encoder" not in {one.name for one in threading.enumerate()})


async def test_frames_continue_if_webrtc_does_not_connect(page: Page) -> None:
    # A network that blocks UDP: the offer contains no reachable address.
    blocked = """(() => {
      const set = RTCPeerConnection.prototype.setRemoteDescription;
      RTCPeerConnection.prototype.setRemoteDescription = function ({ type, sdp }) {
        return set.call(this, { type, sdp: sdp.replace(/a=candidate.*\\r\\n/g, "") });
      };
    })()"""
    async with page.script(blocked):
        with ServedVideo() as served:
            await page.open(served.server.url)
            await page.wait_for("window.edgecam && edgecam.cameras[0]?.shown > 3")
            assert await page.evaluate("edgecam.videos.get(0)?.playing ?? false") is False
            await page.wait_for("edgecam.videos.size === 0")
            await asyncio.to_thread(wait_until, lambda: served.facts()["webrtc_connections"] == 0)
            shown = await page.evaluate("edgecam.cameras[0].shown")
            await page.wait_for(f"edgecam.cameras[0].shown > {shown} + 3")


async def test_frames_replace_a_video_that_stops(page: Page, served: ServedVideo) -> None:
    await page.open(served.server.url)
    await page.wait_for(PLAYING)
    await page.evaluate("edgecam.videos.get(0).connection.close()")
    jpegs = served.jpegs
    await page.wait_for("edgecam.videos.size === 0")
    shown = await page.evaluate("edgecam.cameras[0].shown")
    await page.wait_for(f"edgecam.cameras[0].shown > {shown} + 3")
    assert served.jpegs > jpegs
