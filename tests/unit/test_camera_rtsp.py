"""RTSP cameras of other vendors: streams with B-frames and other codecs, each frame with its own time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from camera_servers import RTSP_VIDEO, RtspCamera, rtsp_server
from edgecam_core.camera.capture import Camera
from edgecam_core.camera.captured_frame import CapturedFrame
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.errors import MissingDependency
from edgecam_core.media import gst
from waiting import wait_until

try:
    gst.library("GstRtspServer")
except (MissingDependency, ImportError):
    pytest.skip("GStreamer's RTSP server library is not installed", allow_module_level=True)

_B265 = "bframes=3:b-adapt=0:rc-lookahead=4:frame-threads=1:pools=none"
STREAMS = {
    "h264 with B-frames": "x264enc bframes=3 b-adapt=false b-pyramid=true speed-preset=veryfast rc-lookahead=4 "
    "key-int-max=25 ! rtph264pay name=pay0 pt=96",
    "h265 with B-frames": f"x265enc speed-preset=ultrafast key-int-max=25 option-string={_B265} "
    "! rtph265pay name=pay0 pt=96",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! rtph265pay name=pay0 pt=96",
    "jpeg": "jpegenc ! rtpjpegpay name=pay0 pt=26",
    "vp8": "vp8enc deadline=1 keyframe-max-dist=25 ! rtpvp8pay name=pay0 pt=96",
}
FRAMES = 50


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("stream", STREAMS)
def test_frames_arrive_in_order_with_their_own_times(stream: str, transport: str) -> None:
    stamps: list[int] = []
    colours: list[np.ndarray] = []
    problems: list[str] = []

    def take(frame: CapturedFrame) -> None:
        stamps.append(frame.stamp_ns)
        colours.append(frame.frame("bgr8").array().reshape(-1, 3).mean(axis=0))

    with rtsp_server(stream=f"{RTSP_VIDEO} ! {STREAMS[stream]}") as server:
        settings = CameraSettings(source=f"rtsp://127.0.0.1:{server.port}/live", rtsp_transport=transport)
        camera = Camera(settings, take, on_event=lambda problem, text: problems.append(text) if problem else None)
        camera.start()
        try:
            wait_until(lambda: problems or whole_steps(stamps[-FRAMES:]) == FRAMES - 1, 90, f"{FRAMES} steady frames")
        finally:
            status = camera.status()
            camera.stop()
    assert not problems
    assert np.abs(np.array(colours) - (0, 0, 254)).max() < 20  # jpegenc codes limited range
    assert all(after > before for before, after in itertools.pairwise(stamps))
    assert status.held < len(stamps)


def whole_steps(stamps: list[int]) -> int:
    """The number of steps that are multiples of the server's 40 ms.

    A frame that was not taken in time leaves a larger step, and the first frames may have their time of arrival.
    """
    steps = np.diff(stamps) / 1e6
    return int((np.abs(steps - 40 * np.rint(steps / 40)) < 2).sum())


_FIELDS = "videotestsrc is-live=true pattern=pinwheel horizontal-speed=6 ! video/x-raw,format=I420,width=320,height=240"
INTERLACED = (
    f"{_FIELDS},framerate=50/1 ! interlace field-pattern=1:1 top-field-first=true ! "
    "x264enc interlaced=true tune=zerolatency bitrate=4000 key-int-max=25 ! rtph264pay name=pay0 pt=96"
)


def test_interlaced_frames_are_deinterlaced() -> None:
    def combing(server: RtspCamera, deinterlace: str) -> float:
        found: list[float] = []

        def take(frame: CapturedFrame) -> None:
            rows = frame.frame("bgr8").array().astype(int)
            found.append(float(np.abs(np.diff(rows, 2, axis=0)).mean()))

        settings = CameraSettings(source=f"rtsp://127.0.0.1:{server.port}/live", deinterlace=deinterlace)
        camera = Camera(settings, take)
        camera.start()
        try:
            wait_until(lambda: len(found) >= 10, 90, "frames")
        finally:
            camera.stop()
        return float(np.median(found))

    with rtsp_server(stream=INTERLACED) as server:
        assert combing(server, "auto") < combing(server, "never") / 4
