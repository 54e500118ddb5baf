"""edgecam never writes through a link planted at a file's name: the target of the link stays unchanged.

Each writer runs once in an empty folder, to learn the names, and once with such a link at each of these names.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import recordings as made
from edgecam_core.cache import lock, write
from edgecam_core.camera import calibration, video_recorder
from edgecam_core.camera.video_recorder import RecordSettings, VideoRecorder
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.records import KeptFrame
from edgecam_core.errors import EdgecamError
from edgecam_core.events.clips import ClipWriter, CodedFrame
from edgecam_core.events.event import BEGIN, Event
from edgecam_core.events.store import EventStore
from edgecam_core.files import create, descriptor_path, in_memory
from edgecam_core.media import gst
from edgecam_core.models.store import ModelStore
from edgecam_core.recording.settings import RecorderSettings
from edgecam_core.rtp import sdp
from edgecam_core.types import Frame
from edgecam_viewer.monitor import Summary, write_summary
from tiny_models import color_detector
from waiting import wait_until

PIXELS = np.full((48, 64, 3), 90, np.uint8)
CALIBRATION = calibration.Calibration(
    64, 48, "plumb_bob", (0.0,) * 5, (50.0, 0, 32, 0, 50, 24, 0, 0, 1), (1.0, 0, 0, 0, 1, 0, 0, 0, 1),
    (50.0, 0, 32, 0, 0, 50, 24, 0, 0, 0, 1, 0),
)  # fmt: skip
EVENT = Event(id="0001", state=BEGIN, camera="front", rule="sofa", kind="enters", start_ns=10**9, stamp_ns=10**9)
JPEG = cv2.imencode(".jpg", PIXELS)[1].tobytes()


def write_camera_recording(folder: Path) -> None:
    recorder = VideoRecorder(RecordSettings(folder, "camera", split_seconds=0.4))
    text = "videotestsrc num-buffers=30 ! video/x-raw,format=I420,width=64,height=48,framerate=25/1"
    source = gst.Pipeline(f"{text} ! appsink name=sink sync=false")
    source.start()
    for _ in range(30):
        sample = source.pull(120)
        assert sample is not None
        with sample:
            recorder.push(sample)
        wait_until(lambda: recorder.error or not _waiting(recorder), 60, "the encoder")
    source.stop()
    written = recorder.close()
    assert recorder.error == ""
    assert written
    assert all(path.stat().st_size and not path.is_symlink() for path in written)


def _waiting(recorder: VideoRecorder) -> int:
    """Bytes that the encoder has not yet taken."""
    run = recorder._run
    return 0 if run is None else int(run._source.get_property("current-level-bytes"))


def write_camera_snapshot(folder: Path) -> None:
    files = pytest.importorskip("edgecam_camera.file_services")  # needs ROS 2
    files.write_snapshot(folder / "s.png", Frame.from_array(PIXELS, "bgr8", 1, ""), 90)


def write_clip(folder: Path) -> None:
    writer = ClipWriter(folder / "event", "jpeg")
    for number in range(5):
        writer.add(CodedFrame(number * 10**8, "jpeg", JPEG))
    writer.finish()
    assert writer.path.stat().st_size
    assert not writer.path.is_symlink()


def write_event(folder: Path) -> None:
    store = EventStore(folder)
    try:
        store.begin(EVENT)
        store.add_snapshot("0001", JPEG)
    finally:
        store.close()


def write_collection(folder: Path) -> None:
    collection = Collection.create(folder / "collection")
    frame = KeptFrame("a", "images/front/a.jpg", 64, 48, 10**9, "lens", "front", (), ())
    collection.add(frame, JPEG)
    collection.set_classes(["cat"])


def write_model(folder: Path) -> None:
    model = color_detector(folder.parent / "model.onnx", metadata={"labels": json.dumps(["BACKGROUND", "red"])})
    store = ModelStore(folder / "store")
    store.add(model, "door")
    store.deploy("door")


def write_rolling_recording(folder: Path) -> None:
    settings = RecorderSettings(min_free_megabytes=0.0, compression="none", split_megabytes=0.05)
    made.write(folder / "bag", made.image_messages(20), settings)


WRITERS: dict[str, Callable[[Path], object]] = {
    "camera recording": write_camera_recording,
    "snapshot": write_camera_snapshot,
    "recorder": write_rolling_recording,
    "single file": lambda folder: made.write(folder / "one.mcap", made.image_messages(3)),
    "calibration": lambda folder: calibration.save(CALIBRATION, folder / "camera.yaml", "camera"),
    "SDP": lambda folder: sdp.write_file(
        str(folder / "x.sdp"), sdp.SessionDescription("192.0.2.7", 5000, 96, "h265"), 1, 1
    ),
    "collection": write_collection,
    "event": write_event,
    "clip": write_clip,
    "model store": write_model,
    "cache": lambda folder: write(folder / "engine", b"data"),
    "lock": lambda folder: contextlib.ExitStack().enter_context(lock(folder / ".lock")),
    "demo summary": lambda folder: write_summary(Summary(1.0, 0, 0, {}, None, None, {}), str(folder / "summary.json")),
}


@pytest.fixture
def _clock_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time in a recording's name can be guessed; here the guess is always right."""
    clock = SimpleNamespace(
        time=lambda: 1.7e9, strftime=time.strftime, localtime=time.localtime, monotonic=time.monotonic
    )
    monkeypatch.setattr(video_recorder, "time", clock)


def files_under(folder: Path) -> Iterator[Path]:
    return (path.relative_to(folder) for path in folder.rglob("*") if path.is_file() or path.is_symlink())


@pytest.mark.usefixtures("_clock_stands_still")
@pytest.mark.parametrize("exists", [True, False], ids=["to a file", "to nothing"])
@pytest.mark.parametrize("name", WRITERS)
def test_a_planted_link_is_not_written_through(name: str, exists: bool, tmp_path: Path) -> None:
    first, second, victims = (tmp_path / part for part in ("first", "second", "victims"))
    for folder in (first, second, victims):
        folder.mkdir()
    WRITERS[name](first)
    names = list(files_under(first))
    assert names
    for number, path in enumerate(names):
        for link in (path, path.with_name(f"{path.name}.part"), path.with_name(f".{path.name}.part")):
            victim = victims / f"{number}{link.suffix}"
            if exists:
                victim.write_text("precious")
            (second / link).parent.mkdir(parents=True, exist_ok=True)
            (second / link).symlink_to(victim)
    before = {path: path.read_text() for path in victims.iterdir()}
    with contextlib.suppress(EdgecamError, OSError):  # it may refuse, too
        WRITERS[name](second)
    assert {path: path.read_text() for path in victims.iterdir()} == before


def test_a_name_in_use_gets_an_unpredictable_suffix(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    assert create(path) == path
    other = create(path)
    assert re.fullmatch(r"a_[0-9a-f]{8}\.mp4", other.name)
    with pytest.raises(OSError, match="No such file"):
        create(tmp_path / "no" / "a.mp4")


def test_a_locked_file_keeps_its_content(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    path.write_text("content")
    with lock(path):
        pass
    assert path.read_text() == "content"


def test_a_file_in_memory_is_read_from_its_beginning_here_and_in_a_child() -> None:
    with in_memory("secret: größe") as file:
        path = descriptor_path(file)
        command = [sys.executable, "-c", f"print(open({path!r}).read())"]
        for _ in range(2):
            done = subprocess.run(command, pass_fds=[file], capture_output=True, text=True, check=True)
            assert done.stdout == "secret: größe\n"
            assert Path(path).read_text() == "secret: größe"
        assert subprocess.run(command, capture_output=True, check=False).returncode == 1  # it was not passed on
    with pytest.raises(OSError):
        os.fstat(file)
