"""The capture thread against real GStreamer sources: frames, stamps, loops, losses, changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from camera_servers import hls_server
from clips import make_clip
from edgecam_core.camera.capture import Camera
from edgecam_core.camera.captured_frame import CapturedFrame, whole_jpeg
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.errors import ImageError, MissingDependency, SettingError

LONG = 120.0


class Consumer:
    """Takes frames in one encoding and records them."""

    def __init__(self, encoding: str = "bgr8") -> None:
        self.encoding = encoding
        self.stamps: list[int] = []
        self.arrived: list[int] = []
        self.events: list[tuple[bool, str]] = []
        self.images: list[np.ndarray] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, frame: CapturedFrame) -> None:
        self.gate.wait(LONG)
        self.images.append(frame.frame(self.encoding).array().copy())
        self.arrived.append(time.time_ns())
        self.stamps.append(frame.stamp_ns)

    @property
    def last(self) -> np.ndarray:
        return self.images[-1]

    def event(self, problem: bool, text: str) -> None:
        self.events.append((problem, text))

    def wait(self, count: int) -> None:
        until(lambda: len(self.stamps) >= count, f"{count} frames, {self.events}")


def until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end, f"waited too long for {what}"
        time.sleep(0.005)


@pytest.fixture
def consumer() -> Consumer:
    return Consumer()


@pytest.fixture
def camera(consumer: Consumer) -> Iterator[Callable[..., Camera]]:
    """Starts cameras that are stopped at the end."""
    made: list[Camera] = []

    def start(**settings: object) -> Camera:
        made.append(Camera(CameraSettings(**settings), consumer, on_event=consumer.event))  # type: ignore[arg-type]
        made[-1].start()
        return made[-1]

    yield start
    for one in made:
        one.stop()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=20, rate=25)


def test_frames_carry_their_capture_time(camera: Callable[..., Camera], consumer: Consumer) -> None:
    camera(source="test://ball", framerate=50.0, image_width=160, image_height=120)
    consumer.wait(20)
    assert np.all(np.diff(consumer.stamps) > 0)
    steps = np.diff(consumer.stamps) / 20e6  # in frames; a busy machine may drop some
    assert np.abs(steps - steps.round()).max() < 0.05
    ages = np.array(consumer.arrived[:20]) - consumer.stamps[:20]
    assert np.all(ages >= 0)
    assert consumer.last.shape == (120, 160, 3)


@pytest.mark.parametrize("encoding", ["bgr8", "rgb8", "mono8", "nv12", "yuv422_yuy2", "bayer_rggb8"])
def test_every_encoding_shows_red_as_red(camera: Callable[..., Camera], consumer: Consumer, encoding: str) -> None:
    consumer.encoding = encoding
    camera(source="test://red", image_encoding=encoding, image_width=322, image_height=64)
    consumer.wait(1)
    pixel = {
        "bgr8": [0, 0, 255], "rgb8": [255, 0, 0], "mono8": 76, "nv12": 81, "yuv422_yuy2": [81, 90],
        "bayer_rggb8": 255,
    }  # fmt: skip
    assert np.abs(consumer.last[0, 0].astype(int) - pixel[encoding]).max() <= 3
    if encoding == "nv12":
        assert consumer.last.shape == (96, 322)
        assert np.abs(consumer.last[70, :2].astype(int) - [90, 240]).max() <= 3


def test_a_looped_clip_has_no_gap_in_time(camera: Callable[..., Camera], consumer: Consumer, clip: Path) -> None:
    one = camera(source=f"file://{clip}", loop=True)
    consumer.wait(60)  # three times through the 20 frames
    steps = np.diff(consumer.stamps) / 1e6
    assert np.all(steps > 0)
    # A busy machine may drop frames, but the timeline stays that of the clip, also where it starts over.
    assert np.abs(steps / 40 - np.round(steps / 40)).max() < 0.05
    assert one.status().reconnects == 0
    assert one.status().state == "streaming"


def test_a_file_without_loop_ends_and_reports_it(camera: Callable[..., Camera], consumer: Consumer, clip: Path) -> None:
    one = camera(source=f"file://{clip}", realtime=False)
    until(lambda: one.status().state == "ended", "the end")
    assert len(consumer.stamps) == 20
    assert one.status().reconnects == 0
    assert np.all(np.diff(consumer.stamps) > 0)


def test_the_images_of_a_folder_are_sorted_by_number(tmp_path: Path) -> None:
    levels = {"frame1.png": 10, "frame2.PGM": 40, "frame10.jpg": 70, "frame10b.bmp": 100, "frame0100.png": 130}
    for name, level in levels.items():
        written, data = cv2.imencode(Path(name).suffix.lower(), np.full((48, 64), level, np.uint8))
        assert written
        (tmp_path / name).write_bytes(data.tobytes())
    seen: list[int] = []
    ended = threading.Event()
    settings = CameraSettings(source=f"file://{tmp_path}", realtime=False)  # skips no image
    camera = Camera(
        settings,
        lambda frame: seen.append(round(frame.frame("mono8").array().mean())),
        on_event=lambda _problem, text: ended.set() if "has ended" in text else None,
    )
    camera.start()
    try:
        assert ended.wait(LONG)
    finally:
        camera.stop()
    assert [min(levels.values(), key=lambda level: abs(level - one)) for one in seen] == list(levels.values())


def test_a_file_is_scaled_turned_cropped_and_thinned(
    camera: Callable[..., Camera], consumer: Consumer, clip: Path
) -> None:
    source = f"file://{clip}"
    one = camera(source=source, realtime=False)
    until(lambda: one.status().state == "ended", "the end")
    turned = [cv2.resize(np.rot90(image, -1), (60, 80))[:, 10:].astype(int) for image in consumer.images]
    consumer.images.clear()
    two = camera(
        source=source, realtime=False, flip_method="clockwise", image_width=60, image_height=80, crop_left=10,
        framerate=5.0,
    )  # fmt: skip
    until(lambda: two.status().state == "ended", "the end")
    assert {image.shape for image in consumer.images} == {(80, 50, 3)}
    nearest = [int(np.argmin([np.abs(image - other).mean() for other in turned])) for image in consumer.images]
    assert nearest == [0, 5, 10, 15]  # 5 of 25 Hz


TURNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda image: image,
    "clockwise": lambda image: np.rot90(image, -1),
    "rotate-180": lambda image: np.rot90(image, 2),
    "counterclockwise": np.rot90,
    "horizontal-flip": lambda image: image[:, ::-1],
    "vertical-flip": lambda image: image[::-1],
    "upper-left-diagonal": lambda image: image.transpose(1, 0, 2),
    "upper-right-diagonal": lambda image: np.rot90(image, 2).transpose(1, 0, 2),
}


@pytest.mark.parametrize("flip", TURNS)
def test_every_flip_method_turns_the_frames(flip: str) -> None:
    source, published = Consumer(), Consumer()
    width, height = (48, 64) if TURNS[flip](np.zeros((64, 48, 3))).shape == (48, 64, 3) else (64, 48)
    for consumer, settings in (
        (source, {"image_width": width, "image_height": height}),
        (published, {"image_width": 64, "image_height": 48, "flip_method": flip}),
    ):
        one = Camera(CameraSettings(source="test://colors", **settings), consumer, on_event=consumer.event)  # type: ignore[arg-type]
        one.start()
        try:
            consumer.wait(1)
        finally:
            one.stop()
    assert published.last.shape == (48, 64, 3)
    assert np.abs(published.last.astype(int) - TURNS[flip](source.last)).mean() < 3


def test_garbage_is_reported_once_and_retried_until_it_is_a_video(
    camera: Callable[..., Camera], consumer: Consumer, clip: Path, tmp_path: Path
) -> None:
    path = tmp_path / "later.mp4"
    path.write_bytes(np.random.default_rng(1).bytes(20000))
    one = camera(source=f"file://{path}", loop=True)
    until(lambda: one.status().reconnects >= 2, "a second attempt")
    assert one.status().state == "retrying"
    assert len(consumer.events) == 1
    assert "retrying" in consumer.events[0][1]
    path.write_bytes(clip.read_bytes())
    consumer.wait(5)
    assert one.status().problem == ""
    assert one.status().state == "streaming"


def test_a_network_error_is_reported_once_and_without_gstreamer_internals(
    camera: Callable[..., Camera], consumer: Consumer, tmp_path: Path
) -> None:
    with hls_server(tmp_path) as port:
        for piece in tmp_path.glob("*.ts"):
            piece.unlink()
        one = camera(source=f"http://127.0.0.1:{port}/live.m3u8")
        until(lambda: one.status().reconnects >= 2, "a second attempt")
        one.stop()
    assert [text.count("(404)") for _problem, text in consumer.events] == [1]
    assert ".c(" not in consumer.events[0][1]
    assert "\n" not in consumer.events[0][1]


def test_a_missing_device_is_retried(camera: Callable[..., Camera]) -> None:
    one = camera(source="v4l2:///dev/video77")
    until(lambda: one.status().reconnects >= 2, "a second attempt")
    assert "v4l2-ctl" in one.status().problem


def test_a_slow_consumer_gets_the_newest_frame(camera: Callable[..., Camera], consumer: Consumer) -> None:
    one = camera(source="test://ball", framerate=100.0, image_width=160, image_height=120)
    consumer.wait(3)

    def skipped() -> bool:
        """Whether the frames of half a second without a consumer were dropped; a busy source makes fewer."""
        consumer.gate.clear()
        time.sleep(0.5)  # the fault itself
        count = len(consumer.stamps)
        consumer.gate.set()
        consumer.wait(count + 3)
        return bool(np.diff(consumer.stamps[count - 1 : count + 3]).max() >= 30 * 10e6)

    until(skipped, "a gap of 30 frames")
    assert one.status().drops >= 30


def test_new_settings_reopen_the_source_and_bad_ones_do_not(camera: Callable[..., Camera], consumer: Consumer) -> None:
    one = camera(source="test://ball", image_width=160, image_height=120)
    consumer.wait(2)
    one.change(one.settings.changed(image_width=320, image_height=240))
    until(lambda: consumer.last.shape == (240, 320, 3), "the new size")
    assert one.status().reconnects == 0
    with pytest.raises(SettingError):
        one.change(one.settings.changed(source="nowhere://"))
    count = len(consumer.stamps)
    consumer.wait(count + 3)


def test_an_unexpected_exception_reaches_the_owner() -> None:
    failures: list[Exception] = []

    def broken(frame: CapturedFrame) -> None:
        raise RuntimeError("out of luck")

    one = Camera(CameraSettings(), broken, on_failure=failures.append)
    one.start()
    until(lambda: failures, "the failure")
    assert one.status().state == "failed"
    assert str(failures[0]) == "out of luck"
    one.stop()


def test_a_bad_frame_is_counted_and_the_next_one_arrives() -> None:
    seen: list[int] = []

    def failing_once(frame: CapturedFrame) -> None:
        seen.append(frame.sequence)
        if len(seen) % 2:
            raise ImageError("half a frame")

    one = Camera(CameraSettings(), failing_once)
    one.start()
    until(lambda: len(seen) >= 6, "frames")
    one.stop()
    assert one.status().bad >= 3
    assert "half a frame" in one.problems()


def test_stopping_leaves_no_thread_behind(consumer: Consumer) -> None:
    before = threading.active_count()
    one = Camera(CameraSettings(image_width=64, image_height=48), consumer)
    for _ in range(5):
        count = len(consumer.stamps)
        one.start()
        consumer.wait(count + 1)
        one.stop()
    assert threading.active_count() == before
    assert one.status().state == "stopped"


def test_a_missing_element_names_its_package() -> None:
    from edgecam_core.media import gst

    with pytest.raises(MissingDependency, match="JetPack"):
        gst.require_elements("nvarguscamerasrc ! fakesink")


@pytest.mark.parametrize(
    ("data", "whole"),
    [(b"\xff\xd8..\xff\xd9", True), (b"\xff\xd8..\xff\xd9\0\0\0", True), (b"\xff\xd8....", False), (b"", False)],
)
def test_a_truncated_jpeg_is_detected(data: bytes, whole: bool) -> None:
    assert whole_jpeg(np.frombuffer(data, np.uint8)) == whole
