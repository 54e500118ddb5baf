"""Images from recorded messages, and the camera source mcap://."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import recordings as made
from edgecam_core.camera import recording_feeder, sources
from edgecam_core.camera.capture import Camera
from edgecam_core.camera.captured_frame import CapturedFrame
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.errors import ImageError, SettingError
from edgecam_core.media import gst
from edgecam_core.recording import image_messages
from edgecam_core.recording.message import Message, RecordingError, Topic
from edgecam_core.recording.playback import Playback
from edgecam_core.recording.reader import Recording, open_recording
from edgecam_core.types import Frame
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from waiting import wait_until

STAMP = made.START_NS + 123_456_789


@pytest.mark.parametrize("little", [True, False])
def test_an_image_message_becomes_a_frame(little: bool) -> None:
    pixels = made.frames(1)[0]
    frame = image_messages.image(made.image(pixels, STAMP, little=little))
    assert (frame.stamp_ns, frame.frame_id, frame.encoding, frame.step) == (STAMP, "lens", "bgr8", 192)
    assert np.array_equal(frame.array(), pixels)


def test_a_compressed_image_is_decoded() -> None:
    pixels = cv2.GaussianBlur(made.frames(1)[0], (9, 9), 5)
    png = cv2.imencode(".png", pixels)[1].tobytes()
    frame = image_messages.frame(made.COMPRESSED_TYPE, made.compressed(png, STAMP, "png"))
    assert np.array_equal(frame.array(), pixels)
    assert image_messages.compressed(made.compressed(png, STAMP, "png")).format == "png"
    with pytest.raises(ImageError, match=r"compressed image of 4 bytes .* cannot be decoded"):
        image_messages.frame(made.COMPRESSED_TYPE, made.compressed(b"oops", STAMP))


def test_an_image_message_truncated_anywhere_is_refused() -> None:
    data = made.image(made.frames(1, 8, 4)[0], STAMP)
    for length in range(len(data)):
        with pytest.raises(ImageError):
            image_messages.image(data[:length])


def test_big_endian_samples_are_refused() -> None:
    data = made.image(np.zeros((4, 16), np.uint8), STAMP, "mono16", big_endian=1)
    with pytest.raises(ImageError, match="a big-endian mono16 image is not supported"):
        image_messages.image(data)


def test_playback_keeps_the_recorded_intervals(tmp_path: Path) -> None:
    recording = open_recording(made.write(tmp_path / "x.mcap", made.image_messages(11)))
    began = time.monotonic()
    assert len(list(Playback(recording, rate=2.0))) == 11
    assert time.monotonic() - began > 0.49  # 1 s of recording; never early, even on a slow machine
    assert len(list(Playback(recording, rate=0.0, offset=0.5))) == 6
    with pytest.raises(RecordingError, match=r"nothing after 5 s; it has 1\.0 s"):
        Playback(recording, offset=5.0)
    with pytest.raises(RecordingError, match="topic /x is not in the recording; its topics are /camera/image_raw"):
        Playback(recording, ["/x"])


def test_a_loop_plays_until_it_is_stopped(tmp_path: Path) -> None:
    playback = Playback(open_recording(made.write(tmp_path / "x.mcap", made.image_messages(3))), rate=0.0, loop=True)
    seen = []
    for message in playback:
        seen.append(message.log_ns)
        if len(seen) == 8:
            playback.stop()
    assert seen == (seen[:3] * 3)[:8]


class PlayedCamera:
    """A camera with the frames it delivered."""

    def __init__(self, source: str, **values: object) -> None:
        self.frames: list[Frame] = []
        self.events: list[str] = []
        self.failures: list[Exception] = []
        settings = CameraSettings.from_mapping({"source": source, "realtime": False, **values})
        self.camera = Camera(
            settings, self._keep, on_event=lambda _, text: self.events.append(text), on_failure=self.failures.append
        )

    def _keep(self, image: CapturedFrame) -> None:
        self.frames.append(image.frame("bgr8"))

    def until(self, condition: Callable[[], bool]) -> list[Frame]:
        self.camera.start()
        try:
            wait_until(lambda: condition() or self.failures, what=f"the frames; {self.events}")
        finally:
            self.camera.stop()
        assert not self.failures, self.failures
        return self.frames

    def all(self) -> list[Frame]:
        return self.until(lambda: self.camera.status().state == "ended")


def test_the_camera_delivers_the_recorded_frames_bit_by_bit(tmp_path: Path) -> None:
    messages = made.image_messages(12)
    path = made.write(tmp_path / "a b.mcap", messages)
    found = PlayedCamera(f"mcap://{path}?topic=/camera/image_raw").all()
    assert [one.stamp_ns for one in found] == [image_messages.image(one.data).stamp_ns for one in messages]
    for frame, pixels in zip(found, made.frames(12), strict=True):
        assert np.array_equal(frame.array(), pixels)


@pytest.mark.parametrize("encoding", ["rgb8", "mono8", "bgra8"])
def test_other_encodings_are_played(tmp_path: Path, encoding: str) -> None:
    bgr = made.frames(1)[0][:, :61]  # rows that need padding
    code = {"rgb8": cv2.COLOR_BGR2RGB, "mono8": cv2.COLOR_BGR2GRAY, "bgra8": cv2.COLOR_BGR2BGRA}[encoding]
    pixels = np.ascontiguousarray(cv2.cvtColor(bgr, code))
    kind = made.topic("/image")
    path = made.write(tmp_path / "x.mcap", [Message(kind, STAMP, STAMP, made.image(pixels, STAMP, encoding))])
    (frame,) = PlayedCamera(f"mcap://{path}").all()
    expected = Frame.from_array(pixels, encoding).bgr()
    assert np.array_equal(frame.array(), expected)


def test_recorded_jpeg_is_shown(tmp_path: Path) -> None:
    kind = made.topic("/camera/image_raw/compressed", made.COMPRESSED_TYPE)
    jpegs = [cv2.imencode(".jpg", pixels)[1].tobytes() for pixels in made.frames(4)]
    messages = [Message(kind, STAMP + n, STAMP + n, made.compressed(jpeg, STAMP + n)) for n, jpeg in enumerate(jpegs)]
    found = PlayedCamera(f"mcap://{made.write(tmp_path / 'x.mcap', messages)}").all()
    assert [one.stamp_ns for one in found] == [STAMP, STAMP + 1, STAMP + 2, STAMP + 3]
    assert np.array_equal(found[2].array(), cv2.imdecode(np.frombuffer(jpegs[2], np.uint8), cv2.IMREAD_COLOR))


def test_stamps_can_be_the_current_time_and_a_loop_continues(tmp_path: Path) -> None:
    path = made.write(tmp_path / "x.mcap", made.image_messages(3))
    before = time.time_ns()
    watched = PlayedCamera(f"mcap://{path}?stamps=now", loop=True)
    stamps = [one.stamp_ns for one in watched.until(lambda: len(watched.frames) >= 8)]
    assert before < stamps[0]
    assert stamps == sorted(set(stamps))


def test_steps_release_one_frame_each(tmp_path: Path) -> None:
    path = made.write(tmp_path / "x.mcap", made.image_messages(5))
    watched = PlayedCamera(f"mcap://{path}?step=true")
    watched.camera.start()
    wait_until(lambda: watched.camera.can_step, what="the source to open")
    for count in range(1, 6):
        watched.camera.step()
        wait_until(lambda count=count: len(watched.frames) >= count, what=f"frame {count}")
        assert len(watched.frames) == count
    wait_until(lambda: watched.camera.status().state == "ended", what="the end")
    watched.camera.stop()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?topic=/nothing", "topic /nothing is not in the recording; its topics are /camera/image_raw, /words"),
        ("?topic=/words", "topic /words has type std_msgs/msg/String; topics with images are /camera/image_raw"),
        ("?rate=-1", "rate is '-1'; use a number above 0"),
        ("?rate=fast", "rate is 'fast'; use a number above 0"),
        ("?stamps=old", "stamps is 'old'; use original or now"),
        ("?step=maybe", "step is 'maybe'; use true or false"),
        ("?speed=2", "'speed' is unknown; use topic, rate, start, stamps, step"),
        ("?start=60", "nothing after 60 s"),
    ],
)
def test_the_error_of_an_invalid_source_has_the_reason(tmp_path: Path, query: str, words: str) -> None:
    kind = made.topic("/words", "std_msgs/msg/String")
    messages = [*made.image_messages(3), Message(kind, STAMP, STAMP, made.text("x"))]
    path = made.write(tmp_path / "x.mcap", sorted(messages, key=lambda one: one.log_ns))
    with pytest.raises(SettingError, match="parameter 'source' is") as caught:
        sources.check(CameraSettings(source=f"mcap://{path}{query}"))
    assert words in str(caught.value)


def test_a_recording_is_read_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def counting(path: Path) -> Recording:
        opened.append(path)
        return open_recording(path)

    monkeypatch.setattr(recording_feeder, "open_recording", counting)
    path = made.write(tmp_path / "x.mcap", made.image_messages(3))
    settings = CameraSettings(source=f"mcap://{path}")
    for _ in range(2):
        sources.check(settings)
        assert sources.resolve(settings, gst.has_element).codec == "raw"
    assert opened == [path]
    jpeg = bytes(cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1])
    kind = made.topic("/camera/image_raw", made.COMPRESSED_TYPE)
    path.unlink()
    made.write(path, [Message(kind, made.START_NS, made.START_NS, made.compressed(jpeg, made.START_NS))])
    assert sources.resolve(settings, gst.has_element).codec == "jpeg"
    sources.check(settings)
    assert opened == [path, path]


def test_of_two_image_topics_one_must_be_chosen(tmp_path: Path) -> None:
    path = made.write(tmp_path / "x.mcap", [*made.image_messages(1, "/left"), *made.image_messages(1, "/right")])
    with pytest.raises(SettingError, match="/left, /right have images"):
        sources.check(CameraSettings(source=f"mcap://{path}"))


def test_a_file_that_is_not_a_recording_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "x.mcap").write_bytes(b"nonsense")
    for path, words in (("x.mcap", "is not an MCAP file"), ("y.mcap", "does not exist")):
        with pytest.raises(SettingError, match=words):
            sources.check(CameraSettings(source=f"mcap://{tmp_path / path}"))


VIDEO_DEFINITION = "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n"


def access_units(codec: str, count: int) -> list[bytes]:
    """Coded frames of a moving pattern in Annex B format, as the RTP sender publishes them."""
    encode = {
        "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=10 option-string=bframes=0 ! h265parse",
        "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! h264parse",
    }[codec]
    pipeline = gst.Pipeline(
        f"videotestsrc num-buffers={count} pattern=ball ! video/x-raw,width=128,height=96,framerate=10/1 ! {encode} "
        f"config-interval=-1 ! video/x-{codec},stream-format=byte-stream,alignment=au ! appsink name=sink sync=false"
    )
    pipeline.start()
    units: list[bytes] = []
    while len(units) < count and (sample := pipeline.pull(120.0)) is not None:
        with sample:
            units.append(sample.data.tobytes())
    pipeline.stop()
    return units


def video_message(unit: bytes, stamp_ns: int, codec: str, kind: Topic) -> Message:
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg(VIDEO_DEFINITION, kind.type))
    time_type = store.types["builtin_interfaces/msg/Time"]
    stamp = time_type(*divmod(stamp_ns, made.SECOND))
    message = store.types[kind.type](stamp, "lens", np.frombuffer(unit, np.uint8), codec)
    return Message(kind, stamp_ns, stamp_ns, bytes(store.serialize_cdr(message, kind.type)))


@pytest.mark.parametrize("codec", ["h265", "h264"])
def test_recorded_coded_video_is_stored_unchanged_and_decoded(tmp_path: Path, codec: str) -> None:
    kind = Topic("/camera/video", "foxglove_msgs/msg/CompressedVideo", definition=VIDEO_DEFINITION)
    units = access_units(codec, 20)
    stamps = [made.START_NS + number * made.SECOND // 10 for number in range(20)]
    messages = [video_message(unit, stamp, codec, kind) for unit, stamp in zip(units, stamps, strict=True)]
    path = made.write(tmp_path / "x.mcap", messages)
    stored = [image_messages.video(one.data) for one in open_recording(path).messages()]
    assert [one.data.tobytes() for one in stored] == units
    assert {one.format for one in stored} == {codec}
    assert path.stat().st_size < 2 * sum(map(len, units)) + 20_000
    found = PlayedCamera(f"mcap://{path}").all()
    assert [one.stamp_ns for one in found] == stamps
    assert len({one.array().tobytes() for one in found}) > 10  # the ball moves
    late = PlayedCamera(f"mcap://{path}?start=0.35").all()  # between two keyframes
    assert [one.stamp_ns for one in late] == stamps[10:]


def test_video_of_another_codec_is_refused(tmp_path: Path) -> None:
    kind = Topic("/video", "foxglove_msgs/msg/CompressedVideo", definition=VIDEO_DEFINITION)
    path = made.write(tmp_path / "x.mcap", [video_message(b"abc", STAMP, "vp9", kind)])
    with pytest.raises(SettingError, match="/video contains 'vp9' video; only h264 and h265 can be decoded"):
        sources.check(CameraSettings(source=f"mcap://{path}"))
