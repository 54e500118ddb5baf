"""Recordings of real streams, read back with OpenCV."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest
from clips import make_clip
from edgecam_core.camera import video_recorder
from edgecam_core.camera.video_recorder import RecordSettings, VideoRecorder, pipeline_text
from edgecam_core.errors import SettingError
from edgecam_core.media import gst
from full_disk import files_of_at_most


def frames(path: Path) -> int:
    video, count = cv2.VideoCapture(str(path)), 0
    while video.read()[0]:
        count += 1
    return count


def feed(push: Callable[[gst.MappedSample], None], text: str) -> int:
    """Push every buffer of a pipeline; returns their number."""
    pipeline = gst.Pipeline(f"{text} ! appsink name=sink sync=false")
    pipeline.start()
    count, end = 0, time.monotonic() + 120
    try:
        while time.monotonic() < end:
            sample = pipeline.pull(0.1)
            if sample is not None:
                with sample:
                    push(sample)
                count += 1
            elif any(message.kind == "eos" for message in pipeline.messages()):
                return count
    finally:
        pipeline.stop()
    pytest.fail("the pipeline did not end")


def test_b_frames_do_not_start_a_new_file(tmp_path: Path) -> None:
    recorder = VideoRecorder(RecordSettings(tmp_path, "camera"))
    encode = "x264enc bframes=3 b-adapt=false speed-preset=veryfast key-int-max=20 ! h264parse"
    size = "video/x-raw,format=I420,width=160,height=120,framerate=25/1"
    pushed = feed(recorder.push, f"videotestsrc num-buffers=60 ! {size} ! {encode} ! video/x-h264,alignment=au")
    (path,) = recorder.close()
    assert recorder.error == ""
    assert frames(path) == pushed == 60


def test_a_camera_that_comes_back_starts_another_file_at_a_keyframe(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", frames=50, codec="h265")  # a keyframe every 10 frames
    recorder = VideoRecorder(RecordSettings(tmp_path / "out", "camera"))
    text = f"filesrc location={gst.quoted(str(clip))} ! matroskademux ! h265parse ! video/x-h265,alignment=au"
    feed(recorder.push, text)
    late = gst.Pipeline(f"{text} ! appsink name=sink sync=false")
    late.start()
    try:
        for index in range(25):  # its time starts over, between two keyframes
            sample = late.pull(120)
            assert sample is not None
            with sample:
                if index >= 5:
                    recorder.push(sample)
    finally:
        late.stop()
    assert [frames(path) for path in recorder.close()] == [50, 15]


def test_only_uncoded_frames_are_encoded(tmp_path: Path) -> None:
    settings = RecordSettings(tmp_path, "camera", container="mp4", split_seconds=60, split_mb=10)
    coded = pipeline_text("video/x-h265", settings)
    assert coded.startswith("appsrc name=src format=time ! h265parse ! splitmuxsink")
    assert "max-size-time=60000000000 max-size-bytes=10000000" in coded
    assert "fragment-duration" in coded
    assert "jpegdec ! videoconvert" in pipeline_text("image/jpeg", settings)
    assert "enc name=encoder" in pipeline_text("video/x-raw", settings)


def test_a_path_that_cannot_be_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match=r"'output_directory'.*choose another folder"):
        VideoRecorder(RecordSettings(tmp_path / "file", "camera"))


RAW = "videotestsrc num-buffers={} pattern=snow ! video/x-raw,format=I420,width=640,height=480,framerate=30/1"


def test_a_full_disk_ends_the_recording_and_is_reported(tmp_path: Path) -> None:
    recorder = VideoRecorder(RecordSettings(tmp_path, "camera"))
    encode = "x264enc tune=zerolatency speed-preset=ultrafast ! h264parse ! video/x-h264,alignment=au"
    with files_of_at_most(400_000):
        pushed = feed(recorder.push, f"{RAW.format(60)} ! {encode}")
        (path,) = recorder.close()
    assert "filesink" in recorder.error
    assert recorder.frames <= pushed
    assert 0 < path.stat().st_size <= 400_000
    assert frames(path) > 0  # the written part can be played


def slow(seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the disk take so many seconds for each frame."""

    def text(media_type: str, settings: RecordSettings) -> str:
        late = f"! identity sleep-time={seconds * 1_000_000} ! splitmuxsink"
        return pipeline_text(media_type, settings).replace("! splitmuxsink", late)

    monkeypatch.setattr(video_recorder, "pipeline_text", text)


def test_a_file_that_grows_no_more_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(4, monkeypatch)
    monkeypatch.setattr(video_recorder, "_FINISH", 0.5)
    recorder = VideoRecorder(RecordSettings(tmp_path, "camera"))
    feed(recorder.push, RAW.format(2))
    recorder.close()
    assert recorder.error == "the file was not complete after 0.5 s without progress: frames at its end are missing"


def test_a_file_that_is_completed_slowly_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds pass with each progress, and none without, so that the speed of the machine is of no importance."""
    slow(1, monkeypatch)
    monkeypatch.setattr(video_recorder, "_FINISH", 6.0)
    now, idle = [0.0], video_recorder._Run.idle

    def passing(run: video_recorder._Run) -> float:
        before = run._progress
        idle(run)
        now[0] += 2.0 if run._progress != before else 0.0
        return idle(run)

    monkeypatch.setattr(video_recorder, "time", SimpleNamespace(**{**vars(time), "monotonic": lambda: now[0]}))
    monkeypatch.setattr(video_recorder._Run, "idle", passing)
    recorder = VideoRecorder(RecordSettings(tmp_path, "camera"))
    feed(recorder.push, RAW.format(8))
    (path,) = recorder.close()
    assert (recorder.error, frames(path)) == ("", 8)
    assert now[0] > 6.0


def test_frames_that_a_slow_encoder_drops_are_counted(tmp_path: Path) -> None:
    recorder = VideoRecorder(RecordSettings(tmp_path, "camera"))
    pushed = feed(recorder.push, RAW.format(60))  # as fast as possible
    (path,) = recorder.close()
    assert recorder.error == ""
    assert recorder.dropped > 0
    assert recorder.frames + recorder.dropped == pushed
    assert frames(path) == recorder.frames


def test_after_a_dropped_coded_frame_recording_resumes_at_a_keyframe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = VideoRecorder(RecordSettings(tmp_path, "camera"))
    count = 0

    def push(sample: gst.MappedSample) -> None:
        nonlocal count
        # No disk here is slow enough for the real limit, so it is 0 for two frames between keyframes.
        monkeypatch.setattr(video_recorder, "_WAITING_CODED", -1 if count in (16, 17) else 64_000_000)
        recorder.push(sample)
        count += 1

    clip = make_clip(tmp_path / "clip.mkv", frames=40, codec="h264")  # a keyframe every ten frames
    feed(push, f"filesrc location={gst.quoted(str(clip))} ! matroskademux ! h264parse")
    (path,) = recorder.close()
    assert recorder.error == ""
    assert (recorder.frames, recorder.dropped) == (36, 4)
    assert frames(path) == 36


def test_completing_a_file_does_not_delay_the_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, finish = threading.Event(), video_recorder._Run.finish

    def slow(run: video_recorder._Run) -> None:
        disk.wait(120)
        finish(run)

    monkeypatch.setattr(video_recorder._Run, "finish", slow)
    recorder = VideoRecorder(RecordSettings(tmp_path, "camera"))
    for width in (64, 96):  # another size starts another file
        size = f"video/x-raw,format=I420,width={width},height=48,framerate=30/1"
        assert feed(recorder.push, f"videotestsrc num-buffers=5 ! {size}") == 5
    disk.set()
    assert [frames(path) for path in recorder.close()] == [5, 5]
