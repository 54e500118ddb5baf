"""The selection of jetson-inference's downloader, and folders that it wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from annotated import write_image
from edgecam_core.cli.main import main
from edgecam_training.data import manifest
from edgecam_training.data.dataset import Sample
from edgecam_training.data.loading import load
from edgecam_training.data.open_images import fetch
from edgecam_training.errors import DatasetError
from open_images_server import _FACTS, _HEAD, OpenImagesServer, small_server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenImagesServer]:
    with small_server(monkeypatch) as found:
        yield found


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
