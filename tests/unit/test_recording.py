"""Recordings on disk: rosbags reads our files; damaged files are read as far as possible."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import recordings as made
import yaml
from edgecam_core.errors import MissingDependency
from edgecam_core.recording import definitions
from edgecam_core.recording.bag import Bag
from edgecam_core.recording.message import Message, RecordingError, Topic
from edgecam_core.recording.reader import open_recording
from edgecam_core.recording.settings import RecorderSettings
from mcap.reader import make_reader
from recorded import content, read, texts
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader, StoragePlugin, Writer


def mixed(count: int = 20) -> list[Message]:
    return sorted([*made.image_messages(count), *texts(count)], key=lambda one: one.log_ns)


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
