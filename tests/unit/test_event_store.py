"""The index of events: filters, retention, crashes, full disks, damage."""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from edgecam_core.cli.main import main
from edgecam_core.events.event import BEGIN, END, Event
from edgecam_core.events.index import EventIndex, StoreError
from edgecam_core.events.store import EventStore

SECOND = 10**9


def event(number: int, **fields: object) -> Event:
    values = {
        "id": f"{number:04d}", "state": BEGIN, "camera": "front", "rule": "sofa", "kind": "enters", "zone": "sofa",
        "label": "dog", "track_id": "3", "score": 0.5, "box": (1.0, 2.0, 30.0, 40.0),
        "start_ns": number * SECOND, "stamp_ns": number * SECOND,
    }  # fmt: skip
    return Event(**{**values, **fields})  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    made = EventStore(tmp_path / "events")
    yield made
    made.close()


def ended(store: EventStore, number: int, size: int = 0, **fields: object) -> Event:
    one = event(number, **fields)
    store.begin(one)
    store.end(replace(one, state=END, stamp_ns=one.stamp_ns + SECOND // 2))
    if size:
        store.add_snapshot(one.id, bytes(size))
    return one


def test_an_event_is_read_back_with_all_fields(store: EventStore) -> None:
    one = event(7, detail="x")
    store.begin(one)
    (row,) = EventIndex(store.root).find()
    assert (row.id, row.box, row.end_ns, row.score, row.snapshot) == (one.id, one.box, None, 0.5, "")
    store.end(replace(one, state=END, stamp_ns=9 * SECOND, score=0.9, detail="y"))
    row = EventIndex(store.root).event(one.id) or pytest.fail("gone")
    assert (row.end_ns, row.score, row.detail, row.start_ns) == (9 * SECOND, 0.9, "y", 7 * SECOND)
    without = event(8, box=None, score=0.0, track_id="")
    store.begin(without)
    assert EventIndex(store.root).find()[0].box is None


def test_filters_and_pages(store: EventStore) -> None:
    for number in range(30):
        label, rule = ("dog", "a") if number % 3 else ("cat", "b")
        ended(store, number, label=label, rule=rule, zone="" if number == 29 else "sofa")
    index = EventIndex(store.root)
    assert [one.id for one in index.find(label="cat")] == [f"{n:04d}" for n in range(27, -1, -3)]
    assert len(index.find(rule="a", label="cat")) == 0
    assert [one.id for one in index.find(since_ns=10 * SECOND, until_ns=12 * SECOND)] == ["0012", "0011", "0010"]
    pages, before = [], None
    while page := index.find(limit=7, before=before):
        pages += [one.id for one in page]
        before = page[-1].number
    assert pages == [f"{n:04d}" for n in range(29, -1, -1)]
    assert index.choices() == {
        "camera": ["front"], "rule": ["a", "b"], "label": ["cat", "dog"], "zone": ["sofa"], "kind": ["enters"],
    }  # fmt: skip
    assert index.find(before=-(10**30)) == [] == index.find(limit=-1)
    assert len(index.find(until_ns=10**30)) == 30
    assert index.find(rule="' OR 1=1 --") == []


def test_a_folder_without_an_index_has_no_events(tmp_path: Path) -> None:
    index = EventIndex(tmp_path / "none")
    assert index.find() == []
    assert index.event("x") is None
    assert index.path("x", "snapshot") is None
    assert not (tmp_path / "none").exists()


def test_only_files_of_the_folder_are_served(store: EventStore, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"x")
    (store.root / "snapshots" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    one = ended(store, 1, size=10)
    assert store.path(one.id, "snapshot") == (store.root / "snapshots" / f"{one.id}.jpg").resolve()
    assert store.path(one.id, "clip") is None
    assert store.path(one.id, "events.sqlite") is None
    for name in ("../secret.jpg", "snapshots/../../secret.jpg", str(tmp_path / "secret.jpg"), "snapshots/link.jpg",
                 "events.sqlite", "snapshots", "", "snapshots/\0"):  # fmt: skip
        assert store.file(name) is None, name


def test_retention_deletes_the_oldest_and_their_files(store: EventStore) -> None:
    names = [ended(store, number, size=1000).id for number in range(10)]
    lasting = event(99)
    store.begin(lasting)
    assert store.retain(days=0, megabytes=0.0055) == 5
    assert [one.id for one in store.find()] == [lasting.id, *names[:4:-1]]
    assert sorted(path.stem for path in (store.root / "snapshots").iterdir()) == names[5:]
    assert store.totals == (6, 5000)
    with sqlite3.connect(store.root / "events.sqlite") as connection:
        connection.execute("UPDATE events SET stored_ns = 0 WHERE id < '0007' OR id = '0099'")
    assert store.retain(days=1, megabytes=1000) == 2
    assert [one.id for one in store.find()] == [lasting.id, *names[:6:-1]]


def test_old_events_are_deleted_for_free_space_only_where_that_helps(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        ended(store, number, size=1000)
    monkeypatch.setattr("edgecam_core.events.store.free_bytes", lambda _: 8000)
    store.make_room(0.0095)
    assert [one.id for one in store.find()] == ["0003", "0002"]
    with pytest.raises(StoreError, match=r"parameter 'min_free_megabytes' is 5: .* free some space or lower it"):
        store.make_room(5.0)
    assert len(store.find()) == 2


def test_leftovers_of_a_crash_are_cleaned_up(tmp_path: Path) -> None:
    store = EventStore(tmp_path)
    store.begin(event(1))
    (tmp_path / "snapshots" / "orphan.jpg").write_bytes(b"x")
    (tmp_path / "clips" / ".part.mp4").write_bytes(b"x")
    store.close()
    again = EventStore(tmp_path)
    assert again.find()[0].end_ns == SECOND
    assert [path for folder in ("snapshots", "clips") for path in (tmp_path / folder).iterdir()] == []
    again.close()


_WRITER = """
import sys
from dataclasses import replace
from edgecam_core.cli.main import main
from edgecam_core.events.event import END, Event
from edgecam_core.events.store import EventStore
store = EventStore(sys.argv[1])
for number in range(10**6):
    one = Event(id=str(number), state="begin", camera="c", rule="r", kind="enters", start_ns=number, stamp_ns=number)
    store.begin(one)
    store.end(replace(one, state=END))
    store.add_snapshot(one.id, b"jpeg")
    print(number, flush=True)
"""


def test_everything_reported_is_stored_after_sigkill(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    for _ in range(20):
        last = int(writer.stdout.readline())
        assert EventIndex(tmp_path).event(str(last)) is not None, "read while another process writes"
    writer.send_signal(signal.SIGKILL)
    last = max([last, *(int(line) for line in writer.stdout.read().split())])
    writer.wait()
    index = EventIndex(tmp_path)
    for number in range(last + 1):
        assert index.path(str(number), "snapshot") is not None
    again = EventStore(tmp_path)
    again.begin(event(1))
    assert again.find()[0].id == event(1).id
    again.close()


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """The kernel refuses to extend files, like a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def fill(store: EventStore) -> None:
    for number in range(2, 1000):
        store.begin(event(number))


def test_a_full_disk_is_an_error_and_the_index_stays_whole(store: EventStore) -> None:
    kept = ended(store, 1, size=100)
    with full_disk(40_000):
        with pytest.raises(StoreError, match="snapshots"):
            store.add_snapshot(kept.id, bytes(100_000))
        with pytest.raises(StoreError, match=r"events\.sqlite"):
            fill(store)
    assert store.path(kept.id, "snapshot") is not None
    assert os.listdir(store.root / "snapshots") == [f"{kept.id}.jpg"]
    store.begin(event(5000))
    assert store.event(kept.id) is not None
    assert store.event(event(5000).id) is not None


def test_a_damaged_index_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "events.sqlite").write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError, match=r"events\.sqlite is damaged .* move it away"):
        EventStore(tmp_path)
    with pytest.raises(StoreError, match="move it away"):
        EventIndex(tmp_path).find()


def test_an_index_of_another_version_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "events.sqlite") as connection:
        connection.execute("PRAGMA user_version = 9")
    with pytest.raises(StoreError, match="has version 9, not 1"):
        EventStore(tmp_path)


def test_an_index_under_construction_has_no_events(tmp_path: Path) -> None:
    (tmp_path / "events.sqlite").touch()
    assert EventIndex(tmp_path).find() == []
    with sqlite3.connect(tmp_path / "events.sqlite") as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    assert EventIndex(tmp_path).find() == []
    EventStore(tmp_path).close()
    assert EventIndex(tmp_path).choices()["rule"] == []


def test_readers_never_see_a_half_made_index(tmp_path: Path) -> None:
    problems: list[Exception] = []
    done = threading.Event()

    def read(folder: Path) -> None:
        while not done.is_set():
            try:
                EventIndex(folder).find()
            except Exception as error:
                problems.append(error)

    for number in range(10):
        folder = tmp_path / str(number)
        reader = threading.Thread(target=read, args=(folder,))
        done.clear()
        reader.start()
        EventStore(folder).close()
        done.set()
        reader.join()
    assert problems == []


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "events.sqlite") as connection:
        connection.execute("CREATE TABLE other (x)")
    with pytest.raises(StoreError, match="has version 0, not 1"):
        EventStore(tmp_path)
    with pytest.raises(StoreError, match="has version 0, not 1"):
        EventIndex(tmp_path).find()


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        EventStore(tmp_path / "file" / "events")


def test_threads_read_while_one_writes(store: EventStore) -> None:
    problems: list[Exception] = []

    def read() -> None:
        try:
            for _ in range(50):
                EventIndex(store.root).find(label="dog")
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(100):
        ended(store, number)
    for thread in threads:
        thread.join()
    assert problems == []


def test_the_command_lists_them(store: EventStore, capsys: pytest.CaptureFixture[str]) -> None:
    ended(store, 1, size=10)
    store.begin(event(2, label="cat", rule="cats"))
    assert main(["events", str(store.root)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "ongoing" in first
    assert "cats: cat enters in sofa" in first
    assert "0.5 s" in second
    assert "snapshots/0001.jpg" in second
    assert main(["events", str(store.root), "--label", "dog", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == "0001"
    assert main(["events", str(store.root), "--rule", "none"]) == 0
    assert capsys.readouterr().out == "no events\n"
    assert main(["events", str(store.root / "none")]) == 1
    assert "there is no folder" in capsys.readouterr().err
