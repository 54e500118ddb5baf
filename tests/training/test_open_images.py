"""The downloader against a local server with the same layout and the faults of real servers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import pytest
from annotated import write_image
from edgecam_core.cli.main import main
from edgecam_training.data import manifest
from edgecam_training.data.dataset import Sample
from edgecam_training.data.loading import load
from edgecam_training.data.open_images import fetch, tables, transfer
from edgecam_training.data.open_images.selection import Criteria, choose
from edgecam_training.data.open_images.source import OpenImagesSource
from edgecam_training.data.open_images.tables import TableBox
from edgecam_training.errors import DatasetError
from shapes import shape_image

_HEAD = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
_FACTS = (
    "ImageID,Subset,OriginalURL,OriginalLandingURL,License,AuthorProfileURL,Author,Title,OriginalSize,OriginalMD5,"
    "Thumbnail300KURL,Rotation"
)


class OpenImagesServer:
    """``files`` by path; ``cut`` paths break off once in the middle, ``flaky`` ones respond with 503 once."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut: set[str] = set()
        self.flaky: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        span = request.headers.get("Range", "")
        self.asked.append((request.path, span))
        data = self.files.get(request.path)
        if data is None:
            request.send_error(404)
            return
        if request.path in self.flaky:
            self.flaky.discard(request.path)
            request.send_error(503)
            return
        begin = int(span.removeprefix("bytes=").rstrip("-")) if span else 0
        request.send_response(206 if span else 200)
        request.send_header("Content-Length", str(len(data) - begin))
        request.end_headers()
        if request.path in self.cut:
            self.cut.discard(request.path)
            request.wfile.write(data[: len(data) // 2])
            request.close_connection = True
            return
        request.wfile.write(data[begin:])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenImagesServer]:
    monkeypatch.setattr(transfer, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(transfer, "TRIES", 3)
    found = OpenImagesServer()
    found.files["/v5/class-descriptions-boxable.csv"] = b"/m/z,Zebra\n/m/w,Whale\n/m/s,Sea turtle\n"
    rows = {"train": [], "validation": [], "test": []}
    for number in range(8):
        split = ("train", "train", "train", "train", "train", "validation", "test", "train")[number]
        name, code = f"{number:016x}", ("/m/z", "/m/w")[number % 2]
        group = int(number == 2)
        rows[split].append((name, f"{name},x,{code},1,0.1,0.6,0.2,0.7,0,0,{group},0,0"))
        good, data = cv2.imencode(".jpg", shape_image(number)[0])
        assert good
        found.files[f"/{split}/{name}.jpg"] = data.tobytes()
    boxes = {"train": "/v6/oidv6-train-annotations-bbox.csv"}
    images = {"train": "/2018_04/train/train-images-boxable-with-rotation.csv"}
    for split in ("validation", "test"):
        boxes[split] = f"/v5/{split}-annotations-bbox.csv"
        images[split] = f"/2018_04/{split}/{split}-images-with-rotation.csv"
    for split, lines in rows.items():
        other = "f" * 16 + ",x,/m/other,1,0,1,0,1,0,0,0,0,0"
        found.files[boxes[split]] = "\n".join([_HEAD, other, *(line for _, line in lines)]).encode()
        facts = [f"{name},{split},u,https://photo/{name},CC-BY,p,An Author,t,1,m,x,0" for name, _ in lines]
        found.files[images[split]] = "\n".join([_FACTS, *facts]).encode()
    yield found
    found.http.shutdown()
    found.http.server_close()


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


def test_like_jetson_inference(server: OpenImagesServer, tmp_path: Path) -> None:
    """Release v4, no depictions, groups as ordinary boxes, limits shared out over the splits."""
    expected = {}
    for split in ("train", "validation", "test"):
        rows = []
        for number in range({"train": 20, "validation": 5, "test": 5}[split]):
            name, code = f"{split[:2]}{number:02d}", ("/m/z", "/m/w", "/m/other")[number % 3]
            group, depiction = int(number % 4 == 1), {0: 1, 1: -1}.get(number % 5, 0)
            rows.append(f"{name},x,{code},1,0.1,0.6,0.2,0.7,0,0,{group},{depiction},0")
            if depiction != 1 and code != "/m/other":
                expected[f"{split}/{name}"] = group
            server.files[f"/{split}/{name}.jpg"] = server.files["/test/0000000000000006.jpg"]
        server.files[f"/2018_04/{split}/{split}-annotations-bbox.csv"] = "\n".join([_HEAD, *rows]).encode()
        name = "train-images-boxable-with-rotation" if split == "train" else f"{split}-images-with-rotation"
        server.files[f"/2018_04/{split}/{name}.csv"] = _FACTS.encode()
    server.files["/2018_04/class-descriptions-boxable.csv"] = b"/m/z,Zebra\n/m/w,Whale\n"
    arguments = ["dataset", "open-images", "--classes", "zebra,Whale", "--like", "jetson-inference"]
    arguments += ["--mirror", server.url, "--output"]
    assert main([*arguments, str(tmp_path / "all")]) == 0
    samples = manifest.read(tmp_path / "all").samples
    there = {"train": "train", "val": "validation", "test": "test"}
    assert {f"{there[s.split]}/{s.path.stem}" for s in samples} == set(expected)
    assert sum(expected.values()) > 2  # groups, which count as boxes
    assert not any(s.difficult.any() for s in samples)
    assert main([*arguments, str(tmp_path / "few"), "--max-images", "10"]) == 0
    counts, whole = load(tmp_path / "few").counts(), load(tmp_path / "all").counts()
    assert counts == {split: int(10 * (count / len(samples))) for split, count in whole.items()}
    for wrong in (["--version", "v6"], ["--no-groups"], ["--max-per-class", "3"], ["--splits", "train"]):
        assert main([*arguments, str(tmp_path / "x"), *wrong]) == 2


def test_the_totals_of_a_published_course_exercise(server: OpenImagesServer, tmp_path: Path) -> None:
    """Tables with the totals of its README, and further rows that other rules would count.

    3,626, 171 and 505 images with 5,179, 220 and 675 boxes of seven classes. The rows are synthetic:
    the real tables have 2 GB.
    """
    classes = ("Armadillo", "Blue jay", "Rhinoceros", "Sea turtle", "Sparrow", "Whale", "Zebra")
    totals = {"train": (3626, 5179), "validation": (171, 220), "test": (505, 675)}
    image = server.files["/test/0000000000000006.jpg"]
    for split, (images, boxes) in totals.items():
        rows = []
        for number in range(boxes):
            flags = (
                f"0,0,{int(number % 10 == 3)},{0 if number % 7 else -1},0"  # groups count; -1: unknown, no depiction
            )
            corners = f"0.{number // images},0.9,0.1,0.9"
            rows.append(f"{split[:2]}{number % images:05d},x,/m/{number % images % 7},1,{corners},{flags}")
        rows += [f"{split[:2]}d{number:04d},x,/m/{number % 7},1,0.1,0.6,0.2,0.7,0,0,0,1,0" for number in range(300)]
        rows += [
            f"{split[:2]}00000,x,/m/0,1,0.1,0.6,0.2,0.7,0,0,0,1,0",
            f"{split[:2]}00001,x,/m/70,1,0,1,0,1,0,0,0,0,0",
        ]
        rows += [f"{split[:2]}o{number:04d},x,/m/other,1,0.1,0.6,0.2,0.7,0,0,0,0,0" for number in range(300)]
        server.files[f"/2018_04/{split}/{split}-annotations-bbox.csv"] = "\n".join([_HEAD, *rows]).encode()
        name = "train-images-boxable-with-rotation" if split == "train" else f"{split}-images-with-rotation"
        server.files[f"/2018_04/{split}/{name}.csv"] = _FACTS.encode()
        server.files |= {f"/{split}/{split[:2]}{number:05d}.jpg": image for number in range(images)}
    lines = [f"/m/{number},{name}" for number, name in enumerate(classes)]
    server.files["/2018_04/class-descriptions-boxable.csv"] = "\n".join([*lines, "/m/70,Cat"]).encode()
    arguments = ["dataset", "open-images", "--classes", ",".join(classes), "--like", "jetson-inference"]
    assert main([*arguments, "--mirror", server.url, "--output", str(tmp_path / "set")]) == 0
    dataset = load(tmp_path / "set")
    assert dataset.counts() == {"train": 3626, "val": 171, "test": 505}
    assert [
        sum(len(sample.labels) for sample in dataset.split(split).samples) for split in ("train", "val", "test")
    ] == [5179, 220, 675]


def test_a_folder_written_by_jetson_inferences_downloader_is_read(server: OpenImagesServer, tmp_path: Path) -> None:
    head = f"{_HEAD},id,ClassName\n"
    for split in ("train", "validation", "test"):
        (tmp_path / split).mkdir()
        name = f"{split}01"
        (tmp_path / split / f"{name}.jpg").write_bytes(server.files["/test/0000000000000006.jpg"])
        group = int(split == "train")
        rows = [
            f"{name},x,/m/z,1,0.1,0.6,0.2,0.7,0,0,{group},0,0,/m/z,Zebra",
            f"gone{split},x,/m/w,1,0,1,0,1,0,0,0,0,0,/m/w,Whale",
        ]
        (tmp_path / f"sub-{split}-annotations-bbox.csv").write_text(head + "\n".join(rows))
    dataset = load(tmp_path)
    assert dataset.classes == ("Whale", "Zebra")
    assert dataset.counts() == {"train": 1, "val": 1, "test": 1}
    assert dataset.samples[0].boxes[0].tolist() == pytest.approx([16, 24, 96, 84])
    assert not dataset.samples[0].difficult.any()
    counts = dataset.findings.counts()
    assert counts["dropped boxes: image file missing"] == 3
    assert counts["note boxes: around groups: learned as single boxes, as jetson-inference does"] == 1


def test_an_imperfect_folder_of_that_downloader_is_read(tmp_path: Path) -> None:
    """A truncated table, spaces, a converted image, pixels of another tool."""
    rows = [
        "a,x,/m/z,1,0.1,0.6,0.2,0.7,0,0,0,0,0,/m/z,Zebra",
        " b ,x,/m/z,1, 0.1,0.6,0.2,0.7,0,0,0,0,0,/m/z, Zebra ",
        "b,x,/m/z,1,10,60,20,70,0,0,0,0,0,/m/z,Zebra",
        "b,x,/m/z,1,0.1,0.6,0.2,0.7,0,0",
    ]
    (tmp_path / "sub-train-annotations-bbox.csv").write_text(f"{_HEAD},id,ClassName\n" + "\n".join(rows))
    write_image(tmp_path / "train" / "a.jpg")
    write_image(tmp_path / "train" / "b.png")
    dataset = load(tmp_path)
    assert [sample.boxes.round().tolist() for sample in dataset.samples] == [[[16, 24, 96, 84]]] * 2
    assert dataset.findings.counts() == {
        "dropped boxes: incomplete line of the table": 1,
        "dropped boxes: coordinates are pixels, not fractions of the image": 1,
    }


def test_a_manifest_of_other_splits_is_refused(tmp_path: Path) -> None:
    sample = Sample.make(tmp_path / "a.jpg", (4, 4), "held-out", [], [])
    manifest.write(tmp_path, ["a"], [sample])
    with pytest.raises(DatasetError, match="has a split 'held-out'; Open Images has train, val, test"):
        fetch.refetch(tmp_path, tmp_path / "b")
