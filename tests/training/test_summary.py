"""A data set's summary is printed first; training on too small a part of it is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from annotated import write_image, write_yolo
from edgecam_core.cli.main import main
from edgecam_training.data import summary
from edgecam_training.data.checks import read_image
from edgecam_training.data.dataset import Dataset, Sample
from edgecam_training.data.image_cache import ImageCache
from edgecam_training.data.image_files import Header, read_header
from edgecam_training.data.loading import load
from edgecam_training.errors import DatasetError
from edgecam_training.evaluate.evaluation import evaluate
from edgecam_training.evaluate.models import open_detector
from edgecam_training.models.registry import create
from edgecam_training.train import checkpoint
from PIL import Image

GOOD, PIXELS = "0 0.5 0.5 0.4 0.5\n", "0 80 60 40 50\n"
CONFIG = "names: [cat, dog]\ntrain: images/train\nval: images/val\n"


def _yolo(root: Path, good: int, bad: int) -> Path:
    lines = "".join(f"0 {0.5 + number / 1000} 0.5 0.4 0.5\n" for number in range(good))
    return write_yolo(root, CONFIG, {"train/a": lines + PIXELS * bad, "train/b": "", "val/c": GOOD})


def test_check_prints_one_table_and_fails_when_too_much_is_dropped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = _yolo(tmp_path, 98, 2)
    assert main(["dataset", "check", str(root)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"data set {root}: 2 classes, cat, dog",
        "used      2 images with 98 boxes in 'train'",
        "used      1 images with 1 boxes in 'val'",
        "dropped   2 boxes   coordinates are pixels, not fractions of the image, first "
        f"{root}/labels/train/a.txt, line 99",
        f"note      1 images  without boxes, used as background, first {root}/images/train/b.jpg",
    ]  # fmt: skip
    _yolo(tmp_path, 9, 11)
    assert main(["dataset", "check", str(root)]) == 1
    seen = capsys.readouterr()
    assert "11 boxes, 52.4 %, were dropped and only 5 % are allowed" in seen.err
    assert "--allow-dropped 53" in seen.err
    assert "dropped   11 boxes" in seen.out
    assert main(["dataset", "check", str(root), "--allow-dropped", "53"]) == 0


COMMANDS = [
    ["train", "--epochs", "1"],
    ["evaluate", "none.pt", "--split", "val"],
    ["benchmark", "none.onnx", "--split", "val"],
    ["export", "none.onnx", "--precision", "int8"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_commands_refuse_a_set_in_pixel_units_unless_it_is_allowed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    root = _yolo(tmp_path / "data", 1, 20)
    words = [*command, "--output", str(tmp_path / "run"), "--data", str(root)]
    assert main(words) == 1
    seen = capsys.readouterr()
    assert "20 boxes, 90.9 %, were dropped" in seen.err
    if command[0] != "benchmark":  # it shows the last line of each model's process
        assert "dropped   20 boxes   coordinates are pixels, not fractions of the image" in seen.out
    if command[0] != "train":
        assert main([*words, "--allow-dropped", "91"]) == 1
        assert "were dropped" not in capsys.readouterr().err  # only the model is missing


def test_a_missing_split_is_reported(tmp_path: Path) -> None:
    write_yolo(tmp_path, "names: [cat]\ntrain: images/train\n", {"train/a": GOOD})
    assert "note      no images in 'val': nothing is scored while training" in summary.lines(load(tmp_path))
    write_yolo(tmp_path, "names: [cat]\ntrain: images/train\n", {"train/a": ""})
    with pytest.raises(DatasetError, match="has no box at all"):
        summary.accept(load(tmp_path))


def test_motion_photos_are_used_and_cut_images_dropped(tmp_path: Path) -> None:
    for name in ("motion", "cut", "fine"):
        write_image(tmp_path / f"{name}.jpg")
    data = (tmp_path / "motion.jpg").read_bytes()
    (tmp_path / "motion.jpg").write_bytes(data + b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 400)
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) * 2 // 3])
    samples = tuple(
        Sample.make(tmp_path / f"{name}.jpg", (160, 120), "train", [(1, 1, 50, 50)], [0])
        for name in ("cut", "motion", "fine")
    )
    dataset = Dataset(tmp_path, ("cat",), samples)
    cache = ImageCache.build(dataset, 32)
    assert [sample.path.stem for sample in cache.samples] == ["motion", "fine"]
    assert [sample.path.stem for sample in cache.broken] == ["cut"]
    assert len(cache.images) == len(cache.boxes) == 2
    checked = summary.without_broken(dataset)
    assert checked.findings.counts() == {
        "dropped images: image file damaged or cut short": 1, "dropped boxes: image file damaged or cut short": 1,
    }  # fmt: skip
    with pytest.raises(DatasetError, match=r"1 boxes, 33\.3 %"):
        summary.accept(checked)


def test_one_broken_image_does_not_double_the_memory(tmp_path: Path) -> None:
    for number in range(6):
        write_image(tmp_path / f"{number}.png", box=(0, 0, 20 * number + 10, 120))
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:200])
    samples = tuple(Sample.make(tmp_path / f"{n}.png", (160, 120), "train", [], []) for n in range(6))
    cache = ImageCache.build(Dataset(tmp_path, (), samples), 64)
    assert cache.images.untyped_storage().nbytes() == 6 * 64 * 64 * 3  # the memory that decoding used, no copy
    widths = [int((row > 150).sum()) for row in cache.images[:, 0, :, 0]]
    assert widths == sorted(widths)
    assert len(set(widths)) == 5


def test_sizes_are_checked_before_anything_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecam_training.data.image_cache._free_memory", lambda: 10_000_000)
    for number in range(3):
        write_image(tmp_path / f"{number}.jpg")
    samples = tuple(Sample.make(tmp_path / f"{n}.jpg", (160, 120), "train", [], []) for n in range(3))
    with pytest.raises(DatasetError, match=r"3 images of 2000x2000 need 0\.0 GB of memory and 0\.0 GB are free"):
        ImageCache.build(Dataset(tmp_path, (), samples), 2000)
    Image.new("1", (30_000, 30_000)).save(tmp_path / "huge.png")
    assert "larger than" in str(read_header(tmp_path / "huge.png"))
    assert read_image(tmp_path / "huge.png") is None
    assert read_header(tmp_path / "0.jpg") == Header((160, 120))
    assert read_header(tmp_path / "none.jpg") == "image file missing"
    (tmp_path / "text.jpg").write_text("no image")
    assert read_header(tmp_path / "text.jpg") == "file is not a readable image"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"split": "../../x"}, "split '../../x' must be a plain name"),
        ({"image": "../a.jpg"}, r"image '\.\./a.jpg' lies outside"),
        ({"image": "/etc/a.jpg"}, "lies outside"),
        ({"labels": ["unicorn"]}, "label 'unicorn' is not in classes"),
        ({"labels": ["cat", "cat"]}, "2 labels, for 1 boxes"),
        ({"boxes": None}, "line 2"),
    ],
)
def test_manifests_that_contradict_themselves(tmp_path: Path, change: dict[str, object], reason: str) -> None:
    row = {"image": "a.jpg", "split": "train", "width": 4, "height": 4, "boxes": [[0, 0, 2, 2]], "labels": ["cat"]}
    head = {"format": "edgecam-dataset", "version": 1, "classes": ["cat"]}
    (tmp_path / "manifest.jsonl").write_text(f"{json.dumps(head)}\n{json.dumps(row | change)}\n")
    with pytest.raises(DatasetError, match=reason):
        load(tmp_path)


def test_all_classes_that_the_model_lacks_are_named(tmp_path: Path) -> None:
    network = create("ssd_mobilenet_v1", ("zebra", "whale"))
    checkpoint.save(
        tmp_path / "m.pt", {"model": network.name, "classes": ["zebra", "whale"], "state": network.state_dict()}
    )
    detector = open_detector(str(tmp_path / "m.pt"))
    dataset = Dataset(tmp_path, ("zebra", "cow", "pig"), ())
    with pytest.raises(
        DatasetError, match=r"not in the model, which has zebra, whale: 'cow', 'pig'; use --rename 'cow="
    ):
        evaluate(detector, dataset)
    with pytest.raises(DatasetError, match="not in the data set: 'Cow'"):
        evaluate(detector, Dataset(tmp_path, ("zebra",), ()), {"Cow": "zebra"})
