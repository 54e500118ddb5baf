"""Coded frames and events in; snapshots, clips and an index out."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from coded_streams import CodedStream, encode
from edgecam_core.errors import EdgecamError
from edgecam_core.events.clips import ClipError, ClipWriter, CodedFrame, Ring, access_unit, jpeg_frames
from edgecam_core.events.event import BEGIN, BETTER, END, Event
from edgecam_core.events.index import EventIndex, StoredEvent
from edgecam_core.events.keeper import Keeper
from edgecam_core.events.settings import EventsSettings
from edgecam_core.media import nal
from waiting import wait_until

SECOND, STEP = 10**9, 10**8
START = 1_700_000_000 * SECOND


def jpeg(number: int) -> CodedFrame:
    """Frame ``number``, at ten a second: its brightness encodes the number."""
    pixels = np.full((120, 160, 3), number * 4, np.uint8)
    return CodedFrame(START + number * STEP, "jpeg", cv2.imencode(".jpg", pixels)[1].tobytes())


def brightness(data: bytes) -> int:
    """The number of a frame, from its brightness."""
    return round(float(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[100:, 100:].mean()) / 4)


def event(number: int, name: str = "a", **fields: object) -> Event:
    stamp = START + number * STEP
    values = {
        "id": name, "state": BEGIN, "camera": "front", "rule": "sofa", "kind": "enters", "start_ns": stamp,
        "stamp_ns": stamp, "label": "dog", "score": 0.5, "box": (10.0, 40.0, 60.0, 90.0), "track_id": "1",
    }  # fmt: skip
    return Event(**{**values, **fields})  # type: ignore[arg-type]


def ended(one: Event, number: int) -> Event:
    return replace(one, state=END, stamp_ns=START + number * STEP)


@contextmanager
def keeping(folder: Path, **settings: object) -> Iterator[Keeper]:
    values = {"events_directory": str(folder), "pre_roll": 1.0, "post_roll": 0.5, "min_free_megabytes": 0.0}
    keeper = Keeper(EventsSettings.from_mapping({**values, **settings}))
    try:
        yield keeper
    finally:
        keeper.close()


def row(folder: Path, name: str = "a") -> StoredEvent:
    return EventIndex(folder).event(name) or pytest.fail("not in the index")


def named(folder: Path, what: str, name: str = "a") -> Path | None:
    return EventIndex(folder).path(name, what)


@pytest.fixture(scope="module")
def stream() -> CodedStream:
    return encode("h265", "bframes=0:keyint=10:repeat-headers=1")


def test_a_clip_has_pre_roll_and_post_roll(tmp_path: Path) -> None:
    with keeping(tmp_path) as keeper:
        for number in range(30):
            keeper.frame("front", jpeg(number))
        keeper.event(event(25))
        for number in range(30, 35):
            keeper.frame("front", jpeg(number))
        keeper.event(ended(event(25), 33))
        for number in range(35, 50):
            keeper.frame("front", jpeg(number))
        wait_until(lambda: named(tmp_path, "clip"), what="the clip")
    clip = EventIndex(tmp_path).path("a", "clip")
    assert clip is not None
    assert [brightness(data) for _, data in jpeg_frames(clip)] == list(range(15, 39))
    times = [time for time, _ in jpeg_frames(clip)]
    assert times[-1] - times[0] == pytest.approx(23 * STEP, abs=2_000_000)
    assert row(tmp_path).bytes > clip.stat().st_size
    assert keeper.counters.totals() == {}


def test_a_clip_has_the_access_units_of_the_stream(tmp_path: Path, stream: CodedStream) -> None:
    with keeping(tmp_path) as keeper:
        units = [access_unit(START + pts, "h265", nal.join(nals)) for nals, pts in stream.units]
        for number, unit in enumerate(units):
            keeper.frame("front", unit)
            keeper.frame("front", jpeg(number * 4 // 10))
        keeper.event(event(20))
        keeper.event(ended(event(20), 24))
    clip = EventIndex(tmp_path).path("a", "clip")
    assert clip is not None
    assert clip.suffix == ".mp4"
    reader = cv2.VideoCapture(str(clip))
    shown = []
    while (got := reader.read())[0]:
        shown.append(got[1])
    first = 20  # the keyframe before 1.0 s, in frames of 40 ms
    assert len(shown) == len(units) - first
    for number in (0, 7, len(shown) - 1):
        original = stream.frames[stream.units[first + number][1]]
        assert abs(cv2.cvtColor(shown[number], cv2.COLOR_BGR2GRAY).astype(int) - original).mean() < 20


def test_a_keyframe_without_parameter_sets_gets_them(tmp_path: Path) -> None:
    bare = encode("h265", "bframes=0:keyint=10", count=40)
    ring = Ring()
    for nals, pts in bare.units:
        ring.add(access_unit(pts, "h265", nal.join(nals)), 0.5, 1e9)
    frames = ring.since(SECOND)
    assert not frames[0].sets
    writer = ClipWriter(tmp_path / "x", "h265", ring.sets)
    assert all(writer.add(frame) for frame in frames)
    writer.finish()
    assert len(list(jpeg_frames(writer.path))) == len(frames)


def test_the_snapshot_is_of_the_best_scoring_frame(tmp_path: Path) -> None:
    with keeping(tmp_path, clip="none") as keeper:
        for number in range(5):
            keeper.frame("front", jpeg(number))
        keeper.event(event(3))
        wait_until(lambda: named(tmp_path, "snapshot"), what="the snapshot")
        better = event(7, state=BETTER, score=0.9, start_ns=event(3).start_ns)
        keeper.event(better)  # before its frame
        for number in range(5, 9):
            keeper.frame("front", jpeg(number))
        path = wait_until(lambda: EventIndex(tmp_path).path("a", "snapshot"))
        wait_until(lambda: brightness(path.read_bytes()) == 7, what="the better snapshot")
    pixels = cv2.imread(str(path))
    assert pixels.shape == (120, 160, 3)
    edge = pixels[86:94, 15:55].astype(int)
    assert np.abs(edge - 28).max() > 60, "the box is drawn"
    assert row(tmp_path).clip == ""


def test_an_event_whose_frame_is_missing_gets_a_neighbour_without_box(tmp_path: Path) -> None:
    with keeping(tmp_path, clip="none") as keeper:
        keeper.frame("front", jpeg(20))
        keeper.event(event(22))
        keeper.event(event(80, "b"))
    assert (tmp_path / "snapshots" / "a.jpg").read_bytes() == jpeg(20).data
    assert row(tmp_path, "b").snapshot == ""
    assert keeper.counters.totals() == {"event without snapshot: no image of its frame": 1}


def test_without_coded_frames_events_are_kept_and_counted(tmp_path: Path) -> None:
    with keeping(tmp_path) as keeper:
        keeper.event(event(1))
        keeper.event(ended(event(1), 5))
    assert row(tmp_path).end_ns == START + 5 * STEP
    assert keeper.counters.totals()["event without clip: no coded frames arrive"] == 1


def test_a_clip_ends_at_its_longest(tmp_path: Path) -> None:
    with keeping(tmp_path, max_clip=2.0) as keeper:
        for number in range(40):
            keeper.frame("front", jpeg(number))
            if number == 12:
                keeper.event(event(12))
        wait_until(lambda: named(tmp_path, "clip"), what="the clip")
    clip = EventIndex(tmp_path).path("a", "clip") or pytest.fail("no clip")
    assert [brightness(data) for _, data in jpeg_frames(clip)] == list(range(2, 23))


def test_a_clip_waits_for_late_frames_but_not_for_a_silent_camera(tmp_path: Path) -> None:
    with keeping(tmp_path) as keeper:
        footage, late = keeper.footage, 0.0
        footage._now = lambda: time.monotonic() + late
        keeper.frame("front", jpeg(12))
        keeper.event(event(12))
        keeper.event(ended(event(12), 14))
        for number in (13, 14):
            clip = wait_until(lambda: next((one for one in footage.clips if one.deadline < 1e9), None))
            before = clip.deadline
            late += 8.0
            keeper.frame("front", jpeg(number))
            wait_until(lambda clip=clip, before=before: clip.deadline > before + 7.0, what="a later deadline")
        assert footage.clips
        late += 30.0
        path = wait_until(lambda: named(tmp_path, "clip"), what="the clip")
        assert [brightness(data) for _, data in jpeg_frames(path)] == [12, 13, 14]


def test_lack_of_space_is_reported_clearly_and_events_are_kept(tmp_path: Path) -> None:
    with keeping(tmp_path, min_free_megabytes=1e8) as keeper:
        keeper.frame("front", jpeg(1))
        keeper.event(event(1))
        keeper.event(ended(event(1), 2))
        wait_until(lambda: keeper.problem)
        assert "parameter 'min_free_megabytes' is 1e+08" in str(keeper.problem)
    assert row(tmp_path).end_ns is not None
    assert {"event without clip: it cannot be written", "event without snapshot: it cannot be written"} == set(
        keeper.counters.totals()
    )


def test_files_that_a_full_disk_refused_are_written_later(tmp_path: Path) -> None:
    """The kernel refuses to extend files, like a full disk."""
    with keeping(tmp_path, clip="none") as keeper:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
        try:
            for number in range(100):
                keeper.event(event(number, f"e{number:03d}"))
            wait_until(lambda: keeper.problem, what="the full disk")
            assert "events.sqlite" in str(keeper.problem)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, handler)
        wait_until(lambda: len(EventIndex(tmp_path).find(limit=1000)) == 100, what="the index")
        wait_until(lambda: keeper.problem is None)


_KILLED = """
import sys, time
sys.path[:0] = sys.argv[2:]
from test_event_keeper import *
keeper = Keeper(EventsSettings.from_mapping({"events_directory": sys.argv[1], "min_free_megabytes": 0.0}))
for number in range(40):
    keeper.frame("front", jpeg(number))
    if number == 20:
        keeper.event(event(20))
while not any(path.stat().st_size > 20_000 for path in Path(sys.argv[1], "clips").iterdir()):
    time.sleep(0.05)
print("written", flush=True)
time.sleep(600)
"""


def test_a_clip_that_was_being_written_plays_up_to_the_kill(tmp_path: Path) -> None:
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]
    child = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(tmp_path), *folders], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "written\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with keeping(tmp_path):
        clip = EventIndex(tmp_path).path("a", "clip") or pytest.fail("no clip")
    assert [brightness(data) for _, data in jpeg_frames(clip)][:10] == list(range(10))


def test_a_ring_keeps_whole_groups_within_its_limits(stream: CodedStream) -> None:
    ring = Ring()
    for nals, pts in stream.units:
        ring.add(access_unit(START + pts, "h265", nal.join(nals)), 0.5, 1e9)
    kept = ring.since(0)
    assert kept[0].keyframe
    assert 0.5 * SECOND <= kept[-1].stamp_ns - kept[0].stamp_ns <= 0.9 * SECOND
    assert ring.bytes == sum(len(one.data) for one in kept)
    for nals, pts in stream.units:
        ring.add(access_unit(START + 60 * SECOND + pts, "h265", nal.join(nals)), 100.0, 10_000)
        assert ring.bytes <= 10_000 or len(ring) == 1
    ring = Ring()
    ring.add(access_unit(START + 63 * SECOND, "h265", nal.join(stream.units[0][0])), 1.0, 1e9)
    late = access_unit(START + 60 * SECOND + stream.units[-2][1], "h265", nal.join(stream.units[0][0]))
    assert not ring.add(late, 1.0, 1e9), "out of order"
    assert ring.add(jpeg(0), 1.0, 1e9), "another codec starts over"
    assert len(ring) == 1
    assert ring.at(START) is not None
    assert ring.at(START + STEP) is None
    assert ring.at(START + STEP, 2 * STEP) is not None


def test_data_that_is_not_an_access_unit_is_refused() -> None:
    with pytest.raises(ClipError, match="format 'vp9' cannot be stored in clips; publish h265 or h264"):
        access_unit(0, "vp9", b"")
    for data in (b"", b"\0\0\1", os.urandom(100)[:3]):
        with pytest.raises(ClipError, match="is not an access unit"):
            access_unit(0, "h265", data)


def test_a_missing_folder_fails_the_clip(tmp_path: Path) -> None:
    with pytest.raises(EdgecamError, match="gone"):
        _write(ClipWriter(tmp_path / "gone" / "x", "jpeg"))


def _write(writer: ClipWriter) -> None:
    for number in range(10):
        writer.add(jpeg(number))
    writer.finish()
