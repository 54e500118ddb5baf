"""Files with B-frames: each frame has its own time, in order."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from edgecam_core.camera.capture import Camera
from edgecam_core.camera.captured_frame import CapturedFrame
from edgecam_core.camera.settings import CameraSettings

CODED = [
    ("libx264 -bf 3 -x264-params b-pyramid=normal", "mp4"),
    ("libx264 -bf 3 -x264-params open-gop=1:keyint=25", "ts"),
    ("libx265 -x265-params bframes=4:open-gop=1:keyint=25:log-level=0", "mkv"),
]


@pytest.mark.parametrize(("coded", "suffix"), CODED)
def test_frames_arrive_in_order_with_their_own_times(coded: str, suffix: str, tmp_path: Path) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    path = tmp_path / f"reordered.{suffix}"
    command = f"ffmpeg -v error -y -f lavfi -i testsrc2=s=160x120:r=25 -t 3 -c:v {coded} {path}"
    subprocess.run(command.split(), check=True, timeout=60)
    times: list[int] = []
    stamps: list[int] = []
    ended = threading.Event()

    def take(frame: CapturedFrame) -> None:
        times.append(frame.sample.pts_ns)
        stamps.append(frame.stamp_ns)

    camera = Camera(
        CameraSettings(source=f"file://{path}", realtime=False),
        take,
        on_event=lambda _is_problem, text: ended.set() if "has ended" in text else None,
    )
    camera.start()
    try:
        assert ended.wait(60)
    finally:
        camera.stop()
    assert len(times) == 75
    assert {round((after - before) / 1e6) for before, after in itertools.pairwise(times)} == {40}
    assert all(before < after for before, after in itertools.pairwise(stamps))
