"""Recordings on disk: rosbags reads our files; damaged files are read as far as possible."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import recordings as made
import yaml
from edgecam_core.errors import MissingDependency
from edgecam_core.recording import definitions, qos
from edgecam_core.recording.bag import Bag
from edgecam_core.recording.message import Message, RecordingError, Topic
from edgecam_core.recording.reader import open_recording
from edgecam_core.recording.recorder import SLOW_DISK, Recorder
from edgecam_core.recording.settings import RecorderSettings
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from waiting import wait_until

LATCHED = qos.Qos(depth=1, durability="transient_local")
BEST_EFFORT = qos.Qos(depth=5, reliability="best_effort")


def texts(count: int, name: str = "/words", every_ns: int = made.SECOND // 10) -> list[Message]:
    kind = made.topic(name, "std_msgs/msg/String", LATCHED)
    times = [made.START_NS + number * every_ns for number in range(count)]
    return [Message(kind, at, at - 7, made.text(f"word {number}")) for number, at in enumerate(times)]


def mixed(count: int = 20) -> list[Message]:
    return sorted([*made.image_messages(count), *texts(count)], key=lambda one: one.log_ns)


def content(messages: list[Message]) -> list[tuple[str, int, bytes]]:
    return [(one.topic.name, one.log_ns, one.data) for one in messages]


def read(path: Path) -> list[Message]:
    return list(open_recording(path).messages())


@pytest.mark.parametrize("name", ["out.mcap", "folder"])
@pytest.mark.parametrize("compression", ["zstd", "lz4", "none"])
def test_rosbags_reads_what_we_write(tmp_path: Path, name: str, compression: str) -> None:
    settings = RecorderSettings(min_free_megabytes=0.0, compression=compression, split_megabytes=0.05)
    messages = mixed()
    path = made.write(tmp_path / name, messages, settings)
    with Reader(path) as reader:
        kinds = {one.topic: one for one in reader.connections}
        assert {one: kinds[one].msgtype for one in kinds} == {
            "/camera/image_raw": made.IMAGE_TYPE,
            "/words": "std_msgs/msg/String",
        }
        if name == "folder":  # rosbags does not read it for a single file
            assert all(one.digest == made.STORE.hash_rihs01(one.msgtype) for one in kinds.values())
        (offered,) = kinds["/words"].ext.offered_qos_profiles
        assert (offered.depth, offered.durability.name, offered.reliability.name) == (1, "TRANSIENT_LOCAL", "RELIABLE")
        assert (offered.deadline.sec, offered.deadline.nsec) == (9223372036, 854775807)
        seen = [(one.topic, at, bytes(data)) for one, at, data in reader.messages()]
    assert sorted(seen) == sorted(content(messages))
    if name == "folder":
        assert len(list(path.glob("*.mcap"))) > 1


def test_the_file_holds_what_rosbag2_stores_in_it(tmp_path: Path) -> None:
    """Profile, encodings, channel metadata and the metadata record, as rosbag2_storage_mcap reads them."""
    path = made.write(tmp_path / "out.mcap", mixed())
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        header, summary = reader.get_header(), reader.get_summary()
        assert summary is not None
        (metadata,) = list(reader.iter_metadata())
        stored = [(channel.topic, message.log_time) for _, channel, message in reader.iter_messages()]
    assert header.profile == "ros2"
    assert stored == [(one.topic.name, one.log_ns) for one in mixed()]
    assert {(one.name, one.encoding) for one in summary.schemas.values()} == {
        (made.IMAGE_TYPE, "ros2msg"), ("std_msgs/msg/String", "ros2msg"),
    }  # fmt: skip
    for channel in summary.channels.values():
        kind = summary.schemas[channel.schema_id].name
        assert channel.message_encoding == "cdr"
        assert channel.metadata["topic_type_hash"] == made.STORE.hash_rihs01(kind)
        (offered,) = yaml.safe_load(channel.metadata["offered_qos_profiles"])
        assert (offered["history"], offered["reliability"]) == ("keep_last", "reliable")
    assert all(one.compression == "zstd" for one in summary.chunk_indexes)
    facts = yaml.safe_load(metadata.metadata["serialized_metadata"])
    assert (metadata.name, facts["version"], facts["message_count"]) == ("rosbag2", 9, 40)


def test_the_definitions_in_the_file_decode_its_messages(tmp_path: Path) -> None:
    path = made.write(tmp_path / "out.mcap", made.image_messages(2))
    with AnyReader([path]) as reader:  # builds its types from the definitions in the file
        for connection, _, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            assert (message.width, message.height, message.header.frame_id) == (64, 48, "lens")


def test_metadata_names_every_file_and_count(tmp_path: Path) -> None:
    settings = RecorderSettings(min_free_megabytes=0.0, split_seconds=0.5)
    path = made.write(tmp_path / "bag", mixed(), settings)
    facts = yaml.safe_load((path / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert facts["version"] == 9
    assert facts["message_count"] == 40 == sum(one["message_count"] for one in facts["files"])
    assert facts["relative_file_paths"] == [f"bag_{number}.mcap" for number in range(len(facts["files"]))]
    assert [one["topic_metadata"]["name"] for one in facts["topics_with_message_count"]] == [
        "/words", "/camera/image_raw",
    ]  # fmt: skip
    assert facts["starting_time"]["nanoseconds_since_epoch"] == made.START_NS


@pytest.mark.parametrize("name", ["out.mcap", "folder"])
def test_our_reader_returns_every_message_in_order(tmp_path: Path, name: str) -> None:
    messages = mixed()
    path = made.write(tmp_path / name, messages, RecorderSettings(min_free_megabytes=0.0, split_megabytes=0.05))
    recording = open_recording(path)
    found = list(recording.messages())
    assert content(found) == content(messages)
    assert [one.publish_ns for one in found] == [one.publish_ns for one in messages]
    assert recording.topics["/words"] == messages[0].topic
    assert (recording.start_ns, recording.end_ns, recording.damage) == (messages[0].log_ns, messages[-1].log_ns, "")
    since = made.START_NS + made.SECOND
    late = list(recording.messages(["/words"], since))
    assert content(late) == [one for one in content(messages) if one[0] == "/words" and one[1] >= since]


def test_a_file_is_readable_wherever_it_is_cut(tmp_path: Path) -> None:
    bag = Bag(tmp_path / "out.mcap", made.SETTINGS)
    messages = [one for pair in zip(texts(30), texts(30, "/more"), strict=True) for one in pair]
    for number, message in enumerate(messages):
        bag.write(message)
        if number % 10 == 9:
            bag.flush()
    bag.close()
    whole = (tmp_path / "out.mcap").read_bytes()
    cut, counts = tmp_path / "cut.mcap", []
    for length in range(8, len(whole), 97):
        cut.write_bytes(whole[:length])
        recording = open_recording(cut)
        found = list(recording.messages())
        assert content(found) == content(messages[: len(found)])
        assert "its end is missing" in recording.damage
        recording.close()
        counts.append(len(found))
    assert set(counts) == {0, 10, 20, 30, 40, 50, 60}
    assert counts == sorted(counts)


def test_a_damaged_chunk_loses_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "out.mcap"
    bag = Bag(path, RecorderSettings(min_free_megabytes=0.0, compression="none"))
    messages = texts(30)
    for number, message in enumerate(messages):
        bag.write(message)
        if number % 10 == 9:
            bag.flush()
    bag.close()
    data = bytearray(path.read_bytes())
    data[data.index(b"word 15") + 2] ^= 0xFF
    path.write_bytes(data)
    recording = open_recording(path)
    assert content(list(recording.messages())) == content(messages[:10] + messages[20:])
    assert recording.damage == "out.mcap: 1 of 3 chunks are damaged"


def test_random_damage_gives_messages_or_an_error_and_nothing_else(tmp_path: Path) -> None:
    path = made.write(tmp_path / "out.mcap", texts(50))
    whole, allowed = path.read_bytes(), set(content(texts(50)))
    chance = np.random.default_rng(3)
    for _ in range(300):
        data = bytearray(whole)
        for at in chance.integers(0, len(data), 3):
            data[at] = chance.integers(256)
        path.write_bytes(data)
        try:
            recording = open_recording(path)
            found = list(recording.messages())
        except RecordingError:
            continue
        assert {(at, body) for _, at, body in content(found)} <= {(at, body) for _, at, body in allowed}
        recording.close()


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89MCAP0\r\n"])
def test_a_file_that_is_not_a_recording_is_refused_or_empty(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.mcap"
    path.write_bytes(data)
    if data.startswith(b"\x89"):
        assert read(path) == []
        return
    with pytest.raises(RecordingError, match="is not an MCAP file"):
        open_recording(path)


def test_a_folder_without_a_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="holds no recording"):
        open_recording(tmp_path)
    with pytest.raises(RecordingError, match="does not exist"):
        open_recording(tmp_path / "nothing")


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


def test_definitions_include_all_nested_types(tmp_path: Path) -> None:
    def add(package: str, name: str, text: str) -> None:
        path = tmp_path / package / "msg" / f"{name}.msg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    add(
        "a_msgs",
        "Top",
        "# std_msgs/Nothing x\nHeader header\nPart[3] parts  # Other\nstring<=10 name\nint32 X=1\nb_msgs/Leaf leaf\n",
    )
    add("a_msgs", "Part", "float64[<=4] values\nb_msgs/Leaf leaf\n")
    add("b_msgs", "Leaf", "bool yes\n")
    add("std_msgs", "Header", "builtin_interfaces/Time stamp\nstring frame_id\n")
    add("builtin_interfaces", "Time", "int32 sec\nuint32 nanosec\n")
    text = definitions.definition("a_msgs/msg/Top", [tmp_path / "none", tmp_path])
    names = [line.removeprefix("MSG: ") for line in text.splitlines() if line.startswith("MSG: ")]
    assert names == ["std_msgs/Header", "a_msgs/Part", "b_msgs/Leaf", "builtin_interfaces/Time"]
    assert text.startswith("# std_msgs/Nothing x\nHeader header\n")
    assert text.count("=" * 80) == 4
    with pytest.raises(RecordingError, match=r"definition of c_msgs/msg/X is not installed: .* package c_msgs"):
        definitions.definition("c_msgs/msg/X", [tmp_path])


def test_a_type_without_definition_is_recorded_nevertheless(tmp_path: Path) -> None:
    kind = Topic("/odd", "odd_msgs/msg/Odd")
    path = made.write(tmp_path / "out.mcap", [Message(kind, 5, 5, b"\0\1\0\0")])
    assert content(read(path)) == [("/odd", 5, b"\0\1\0\0")]


@pytest.mark.parametrize("plugin", [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
@pytest.mark.parametrize("version", [8, 9])
def test_bags_of_other_writers_are_read(tmp_path: Path, plugin: StoragePlugin, version: int) -> None:
    messages = made.image_messages(5)
    with Writer(tmp_path / "bag", version=version, storage_plugin=plugin) as writer:  # type: ignore[arg-type]
        connection = writer.add_connection("/camera/image_raw", made.IMAGE_TYPE, typestore=made.STORE)
        for message in messages:
            writer.write(connection, message.log_ns, message.data)
    recording = open_recording(tmp_path / "bag")
    assert content(list(recording.messages())) == content(messages)
    if plugin == StoragePlugin.SQLITE3:  # rosbags does not write it into MCAP files
        assert recording.topics["/camera/image_raw"].type_hash == made.STORE.hash_rihs01(made.IMAGE_TYPE)
    assert (recording.start_ns, recording.end_ns) == (messages[0].log_ns, messages[-1].log_ns)
    (file,) = [one for one in (tmp_path / "bag").iterdir() if one.suffix in (".db3", ".mcap")]
    assert content(read(file)) == content(messages)
    recording.close()


def test_a_damaged_sqlite_bag_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "x.db3").write_bytes(b"SQLite format 3\0" + bytes(500))
    with pytest.raises(RecordingError, match=r"the bag .*x\.db3 cannot be read"):
        read(tmp_path / "x.db3")


def test_without_rosbags_a_sqlite_bag_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.db3").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "rosbags.interfaces", None)
    with pytest.raises(MissingDependency, match="pip install rosbags"):
        open_recording(tmp_path / "x.db3")


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
    assert content(found) == content(messages[:60])[-len(found) :]
    with Reader(path) as reader:
        assert reader.message_count == len(found) > 0
