"""The recorder: crashes, rolling recordings, full and slow disks."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import recordings as made
from edgecam_core.recording.bag import Bag
from edgecam_core.recording.message import Message, RecordingError
from edgecam_core.recording.reader import open_recording
from edgecam_core.recording.recorder import SLOW_DISK, Recorder
from edgecam_core.recording.settings import RecorderSettings
from recorded import LATCHED, content, read, texts
from rosbags.rosbag2 import Reader
from waiting import wait_until

WRITER = """
import os, sys, time
sys.path[:0] = sys.argv[2:]
import recordings as made
from pathlib import Path
from edgecam_core.recording.recorder import Recorder
from edgecam_core.recording.settings import RecorderSettings
recorder = Recorder(RecorderSettings(min_free_megabytes=0.0, flush_seconds=0.1))
recorder.start(Path(sys.argv[1]))
for message in made.image_messages(30):
    recorder.write(message)
path = Path(sys.argv[1]) / "bag_0.mcap"
while path.stat().st_size < 30 * 64 * 48 * 3:
    time.sleep(0.01)
print("written", flush=True)
time.sleep(600)
"""


def test_a_killed_recorder_leaves_everything_that_was_flushed(tmp_path: Path) -> None:
    path = tmp_path / "bag"
    process = subprocess.Popen([sys.executable, "-c", WRITER, path, *sys.path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    recording = open_recording(path)
    assert content(list(recording.messages())) == content(made.image_messages(30))
    assert "its end is missing" in recording.damage


def test_recordings_are_never_overwritten(tmp_path: Path) -> None:
    path = made.write(tmp_path / "out.mcap", texts(3))
    with pytest.raises(RecordingError, match="exists"):
        Bag(path, made.SETTINGS)
    assert len(read(path)) == 3


def test_rolling_keeps_the_newest_and_the_latched_messages(tmp_path: Path) -> None:
    settings = RecorderSettings(min_free_megabytes=0.0, rolling=True, rolling_seconds=2.0, split_seconds=0.5)
    bag = Bag(tmp_path / "bag", settings)
    static = made.topic("/tf_static", "std_msgs/msg/String", LATCHED)
    bag.write(Message(static, made.START_NS, made.START_NS, made.text("tree")))
    messages = made.image_messages(200)
    for message in messages:
        bag.write(message)
    bag.close()
    found = [one for one in read(tmp_path / "bag") if one.topic.name != "/tf_static"]
    assert content(found) == content(messages[-len(found) :])
    assert 20 <= len(found) <= 26
    assert {one.data for one in read(tmp_path / "bag") if one.topic.name == "/tf_static"} == {made.text("tree")}
    with Reader(tmp_path / "bag") as reader:
        assert reader.message_count == len(read(tmp_path / "bag"))


def test_rolling_stays_below_its_share_of_the_disk(tmp_path: Path) -> None:
    settings = RecorderSettings(
        min_free_megabytes=0.0, rolling=True, split_megabytes=0.05, max_megabytes=0.2, compression="none"
    )
    bag = Bag(tmp_path / "bag", settings)
    for message in made.image_messages(200):
        bag.write(message)
        assert sum(one.stat().st_size for one in (tmp_path / "bag").glob("*.mcap")) < 0.3e6
    bag.close()
    assert content(read(tmp_path / "bag"))[-1] == content(made.image_messages(200))[-1]


def test_snapshot_completes_one_recording_and_begins_the_next(tmp_path: Path) -> None:
    recorder = Recorder(RecorderSettings(min_free_megabytes=0.0, directory=str(tmp_path), rolling=True))
    with pytest.raises(RecordingError, match="no recording is running"):
        recorder.snapshot()
    recorder.start()
    first, second = made.image_messages(5), texts(5)
    for message in first:
        recorder.write(message)
    kept = recorder.snapshot()
    for message in second:
        recorder.write(message)
    rest = recorder.stop()
    recorder.close()
    assert rest is not None
    assert content(read(kept)) == content(first)
    assert content(read(rest)) == content(second)
    with Reader(kept) as reader:
        assert reader.message_count == 5


def test_a_recording_runs_while_a_snapshot_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that arrives meanwhile is recorded, and the node keeps its subscriptions."""
    recorder = Recorder(RecorderSettings(min_free_megabytes=0.0, directory=str(tmp_path), rolling=True))
    recorder.start()
    close, late, running = Bag.close, texts(1), []

    def slow(bag: Bag) -> None:
        running.append(recorder.recording)
        recorder.write(late[0])
        monkeypatch.undo()
        close(bag)

    monkeypatch.setattr(Bag, "close", slow)
    recorder.snapshot()
    rest = recorder.stop()
    recorder.close()
    assert running == [True]
    assert rest is not None
    assert content(read(rest)) == content(late)


def test_a_snapshot_without_a_next_recording_keeps_the_current_one(tmp_path: Path) -> None:
    settings = RecorderSettings(min_free_megabytes=0.0, directory=str(tmp_path), rolling=True)
    recorder = Recorder(settings)
    recorder.start()
    recorder.update(replace(settings, min_free_megabytes=1e8))
    with pytest.raises(RecordingError, match="min_free_megabytes"):
        recorder.snapshot()
    assert recorder.recording
    recorder.update(settings)
    recorder.close()


def test_a_full_disk_ends_the_recording_and_keeps_what_was_written(tmp_path: Path) -> None:
    problems: list[Exception] = []
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    recorder = Recorder(RecorderSettings(min_free_megabytes=0.0, compression="none"), problems.append)
    messages = made.image_messages(300)
    path = recorder.start(tmp_path / "bag")
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, limits[1]))  # larger files are refused, like on a full disk
    try:
        for message in messages:
            recorder.write(message)
        wait_until(lambda: problems, what="the end of the recording")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, previous)
    assert "the disk is full; everything written before is readable" in str(recorder.problem)
    assert not recorder.recording
    found = read(path)
    assert content(found) == content(messages[: len(found)])
    assert len(found) * 9000 > 900_000
    recorder.write(messages[0])  # ignored, not kept in memory
    assert recorder.start(tmp_path / "next").name == "next"
    assert recorder.problem is None
    recorder.close()


def test_the_recording_ends_before_the_disk_is_full(tmp_path: Path) -> None:
    recorder = Recorder(RecorderSettings(min_free_megabytes=1e8))
    with pytest.raises(RecordingError, match=r"parameter 'min_free_megabytes' is 1e\+08: the disk of .* MB free"):
        recorder.start(tmp_path / "bag")
    recorder.update(RecorderSettings(min_free_megabytes=0.0, flush_seconds=0.1))
    recorder.start(tmp_path / "bag")
    recorder.update(RecorderSettings(min_free_megabytes=1e8, flush_seconds=0.1))
    for message in texts(3):
        recorder.write(message)
    wait_until(lambda: recorder.problem, what="the end of the recording")
    recorder.close()
    with Reader(tmp_path / "bag") as reader:  # it was closed properly
        assert reader.message_count == 3


def test_a_recording_ends_at_its_share_of_the_disk(tmp_path: Path) -> None:
    settings = RecorderSettings(
        min_free_megabytes=0.0, max_megabytes=0.1, flush_seconds=0.1, compression="none", split_megabytes=0.05
    )
    recorder = Recorder(settings)
    recorder.start(tmp_path / "bag")
    for message in made.image_messages(30):
        recorder.write(message)
    wait_until(lambda: recorder.problem, what="the end of the recording")
    recorder.close()
    assert "parameter 'max_megabytes' is 0.1" in str(recorder.problem)
    with Reader(tmp_path / "bag") as reader:
        assert reader.message_count == 30


def test_messages_are_dropped_and_counted_if_the_disk_is_too_slow(tmp_path: Path) -> None:
    recorder = Recorder(RecorderSettings(min_free_megabytes=0.0, queue_megabytes=1.0))
    path = recorder.start(tmp_path / "bag")
    messages = made.image_messages(300)
    with recorder._disk:  # a disk that does not respond
        for message in messages:
            recorder.write(message)
    recorder.stop()
    dropped = recorder.counters.totals()[f"/camera/image_raw: {SLOW_DISK}"]
    assert recorder.messages + dropped == 300
    assert 0 < recorder.messages == len(read(path))
    recorder.close()


def test_an_unexpected_error_ends_the_recording_not_the_recorder(tmp_path: Path) -> None:
    problems: list[Exception] = []
    recorder = Recorder(RecorderSettings(min_free_megabytes=0.0, flush_seconds=0.1), problems.append)
    path = recorder.start(tmp_path / "bag")
    kept = texts(3)
    for message in kept:
        recorder.write(message)
    wait_until(lambda: len(read(path)) == 3, what="the chunk on disk")
    recorder.write(Message(kept[0].topic, made.START_NS, made.START_NS, ("no", "bytes")))  # type: ignore[arg-type]
    wait_until(lambda: problems, what="the end of the recording")
    assert "unexpected TypeError" in str(recorder.problem)
    assert recorder.start(tmp_path / "next").name == "next"
    recorder.write(kept[0])
    recorder.close()
    assert content(read(tmp_path / "next")) == content(kept[:1])
    assert content(read(path)) == content(kept)


def test_a_rolling_recording_frees_space_on_a_full_disk_before_it_ends(tmp_path: Path) -> None:
    settings = {"rolling": True, "split_megabytes": 0.05, "flush_seconds": 0.1, "compression": "none"}
    recorder = Recorder(RecorderSettings(min_free_megabytes=0.0, **settings))
    path = recorder.start(tmp_path / "bag")
    messages = made.image_messages(60)
    for message in messages[:50]:
        recorder.write(message)
    wait_until(lambda: recorder.messages == 50 and len(list(path.glob("*.mcap"))) > 5, what="several files")
    recorder.update(RecorderSettings(min_free_megabytes=1e8, **settings))
    for message in messages[50:]:
        recorder.write(message)
    wait_until(lambda: recorder.problem, what="the end of the recording")
    recorder.close()
    assert recorder.counters.totals()["oldest file deleted, the disk is almost full"] > 5
    assert "min_free_megabytes" in str(recorder.problem)
    found = read(path)
    assert content(found) == content(messages[: recorder.messages])[-len(found) :]
    with Reader(path) as reader:
        assert reader.message_count == len(found) > 0
