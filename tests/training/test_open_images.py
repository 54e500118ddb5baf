"""The downloader against a local server with the same layout and the faults of real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from edgecam_core.cli.main import main
from edgecam_training.data import manifest
from edgecam_training.data.loading import load
from edgecam_training.data.open_images import fetch, tables, transfer
from edgecam_training.data.open_images.selection import Criteria, choose
from edgecam_training.data.open_images.source import OpenImagesSource
from edgecam_training.data.open_images.tables import TableBox
from edgecam_training.errors import DatasetError
from open_images_server import _HEAD, OpenImagesServer, small_server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenImagesServer]:
    with small_server(monkeypatch) as found:
        yield found


def _download(server: OpenImagesServer, output: Path, **changes: object) -> fetch.FetchOutcome:
    criteria = Criteria(classes=("zebra", "Whale"), **changes)  # type: ignore[arg-type]
    return fetch.download(criteria, output, "v6", 4, source=OpenImagesSource.mirror(server.url))


def test_all_server_faults_at_once_are_survived(server: OpenImagesServer, tmp_path: Path) -> None:
    names = [f"{number:016x}" for number in range(8)]
    del server.files[f"/train/{names[0]}.jpg"]  # 404
    server.files[f"/train/{names[1]}.jpg"] = server.files[f"/train/{names[1]}.jpg"][:-300]  # damaged on the server
    server.cut.add(f"/train/{names[3]}.jpg")
    server.flaky.add(f"/train/{names[4]}.jpg")
    server.cut.add("/v6/oidv6-train-annotations-bbox.csv")
    outcome = _download(server, tmp_path / "a")
    assert outcome.missing == [f"train/{names[0]}"]
    assert outcome.broken == [f"train/{names[1]}"]
    assert outcome.images == 6
    assert outcome.complete
    assert any(span and names[3] in path for path, span in server.asked)  # it resumed, it did not start over
    dataset = manifest.read(tmp_path / "a")
    assert dataset.classes == ("Zebra", "Whale")
    assert dataset.counts() == {"train": 4, "val": 1, "test": 1}
    first = dataset.samples[0]
    assert first.facts["licence"] == "CC-BY"
    assert first.facts["author"] == "An Author"
    assert first.boxes[0].tolist() == pytest.approx([16, 24, 96, 84])
    assert first.difficult.tolist() == first.crowd.tolist() == [True]  # a group is neither a hit nor a miss
    before = (tmp_path / "a" / "manifest.jsonl").read_bytes()
    server.asked.clear()
    _download(server, tmp_path / "a")
    assert (tmp_path / "a" / "manifest.jsonl").read_bytes() == before
    assert {path for path, _ in server.asked} <= {f"/train/{names[0]}.jpg", f"/train/{names[1]}.jpg"}


def test_same_bytes_again_from_the_manifest(server: OpenImagesServer, tmp_path: Path) -> None:
    _download(server, tmp_path / "a")
    source = tmp_path / "a" / "manifest.jsonl"
    mirror = OpenImagesSource.mirror(server.url)
    assert fetch.refetch(source, tmp_path / "b", 4, source=mirror).complete
    assert (tmp_path / "b" / "manifest.jsonl").read_bytes() == source.read_bytes()
    changed = next(path for path in server.files if path.startswith("/train/"))
    server.files[changed] = server.files[next(path for path in server.files if path.startswith("/test/"))]
    outcome = fetch.refetch(source, tmp_path / "c", 4, source=mirror)
    assert len(outcome.changed) == 1
    assert not outcome.complete
    assert not (tmp_path / "c" / changed[1:]).exists()


def test_interrupted_downloads_resume(server: OpenImagesServer, tmp_path: Path) -> None:
    path = next(path for path in server.files if path.startswith("/train/"))
    target = tmp_path / "x.jpg"
    (tmp_path / "x.jpg.part").write_bytes(server.files[path][:100])
    transfer.fetch(server.url + path, target)
    assert target.read_bytes() == server.files[path]
    assert server.asked == [(path, "bytes=100-")]
    assert not (tmp_path / "x.jpg.part").exists()


def test_a_dead_server_is_reported(tmp_path: Path, server: OpenImagesServer) -> None:
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(DatasetError, match="cannot be downloaded after 3 attempts"):
        transfer.fetch(server.url + "/x", tmp_path / "x")


def test_the_error_for_an_unknown_class_suggests_the_nearest(server: OpenImagesServer, tmp_path: Path) -> None:
    criteria = Criteria(classes=("Sea turtel", "zebra", "Wale"))
    with pytest.raises(DatasetError, match=r"'Sea turtel'; did you mean 'Sea turtle'.*'Wale'; did you mean 'Whale'"):
        fetch.download(criteria, tmp_path, "v6", 4, source=OpenImagesSource.mirror(server.url))


def test_limits_serve_the_rare_class_first() -> None:
    corners = (0.0, 0.0, 1.0, 1.0)
    found = [TableBox(f"{i:03d}", "common" if i % 10 else "rare", corners, False, i == 7, i == 8) for i in range(100)]
    taken = choose(found, Criteria(classes=(), max_images=16))
    codes = [box.code for boxes in taken.values() for box in boxes]
    assert codes.count("rare") == codes.count("common") == 8
    assert choose(found, Criteria(classes=(), max_images=16)) == taken
    assert list(choose(found, Criteria(classes=(), max_images=16, seed=1))) != list(taken)
    capped = choose(found, Criteria(classes=(), max_per_class=3))
    assert sorted(box.code for boxes in capped.values() for box in boxes) == ["common"] * 3 + ["rare"] * 3
    assert {"007", "008"}.isdisjoint(choose(found, Criteria(classes=(), groups=False, depictions=False)))


def test_a_folder_with_another_set_is_not_overwritten(server: OpenImagesServer, tmp_path: Path) -> None:
    _download(server, tmp_path / "a")
    before = (tmp_path / "a" / "manifest.jsonl").read_bytes()
    with pytest.raises(DatasetError, match=r"holds another data set \(max_images: 0, now 2\); .* or --replace"):
        _download(server, tmp_path / "a", max_images=2)
    source = tmp_path / "b" / "manifest.jsonl"
    _download(server, tmp_path / "b", max_images=2)
    with pytest.raises(DatasetError, match="holds another data set"):
        fetch.refetch(source, tmp_path / "a", 4, source=OpenImagesSource.mirror(server.url))
    assert (tmp_path / "a" / "manifest.jsonl").read_bytes() == before
    (tmp_path / "a" / "request.json").unlink()  # written by an older version or by another program
    with pytest.raises(DatasetError, match="already holds a data set"):
        _download(server, tmp_path / "a")
    criteria = Criteria(classes=("zebra",))
    fetch.download(criteria, tmp_path / "a", workers=4, source=OpenImagesSource.mirror(server.url), replace_other=True)
    assert load(tmp_path / "a").classes == ("Zebra",)


def test_a_wrong_class_name_claims_no_folder(server: OpenImagesServer, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="Sea turtle"):
        fetch.download(Criteria(classes=("Sea turtel",)), tmp_path, "v6", 4, source=OpenImagesSource.mirror(server.url))
    assert _download(server, tmp_path).complete


def test_a_mirror_may_be_a_folder(server: OpenImagesServer, tmp_path: Path) -> None:
    for path, data in server.files.items():
        file = tmp_path / "disk" / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    server.asked.clear()
    arguments = ["dataset", "open-images", "--classes", "Zebra,Whale", "--output", str(tmp_path / "a")]
    assert main([*arguments, "--mirror", str(tmp_path / "disk")]) == 0
    assert not server.asked
    assert load(tmp_path / "a").counts() == {"train": 6, "val": 1, "test": 1}


def test_tables_show_progress_and_are_indexed_once(server: OpenImagesServer, tmp_path: Path) -> None:
    reported: dict[str, list[tuple[int, int]]] = {}

    def bar(what: str) -> Callable[[int, int], None]:
        return lambda done, total: reported.setdefault(what, []).append((done, total))

    criteria, mirror = Criteria(classes=("Zebra", "Whale")), OpenImagesSource.mirror(server.url)
    fetch.download(criteria, tmp_path, workers=4, bar=bar, source=mirror)
    assert reported["oidv6-train-annotations-bbox.csv, MB"][-1] == (1, 1)
    assert "reading boxes of train, MB" in reported
    first = (tmp_path / "manifest.jsonl").read_bytes()
    reported.clear()
    fetch.download(criteria, tmp_path, workers=4, bar=bar, source=mirror)
    assert set(reported) == {"images"}  # neither downloaded nor read again
    assert (tmp_path / "manifest.jsonl").read_bytes() == first
    table = tmp_path / "tables" / "v6_oidv6-train-annotations-bbox.csv"
    table.write_bytes(table.read_bytes().replace(b"/m/z", b"/m/other"))
    fetch.download(criteria, tmp_path, workers=4, bar=bar, source=mirror)
    assert "reading boxes of train, MB" in reported  # another table: another index


@pytest.mark.parametrize("block", [64, 1 << 24])
def test_the_index_has_exactly_the_lines_of_the_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(tables, "_BLOCK", block)
    lines = [f"{i:04d},x,/m/{'abc'[i % 3]}{'' if i % 5 else 'x'},1,0.1,0.2,0.3,0.4,0,0,0,0,0" for i in range(200)]
    for end in ("\n", "\r\n"):
        table = tmp_path / f"table{len(end)}.csv"
        table.write_bytes(end.join([_HEAD, *lines]).encode())
        found = [box.image for box in tables.boxes(table, {"/m/a": "A", "/m/bx": "B"})]
        assert found == [line[:4] for line in lines if ",/m/a," in line or ",/m/bx," in line]
