"""EXIF: with every layout, training and evaluation use upright images with matching boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from annotated import coco, write_image, write_list, write_yolo, xml
from edgecam_training.data import manifest
from edgecam_training.data.checks import read_image, read_reduced
from edgecam_training.data.dataset import Dataset, Sample
from edgecam_training.data.image_cache import ImageCache
from edgecam_training.data.image_files import Header, read_header
from edgecam_training.data.loading import load
from edgecam_training.data.orientation import turn
from edgecam_training.errors import DatasetError

STORED = (160, 120)
BOX = (16, 12, 64, 42)  # of the stored image
TURNED = range(5, 9)


def _set(root: Path, orientation: int, size: tuple[int, int], box: tuple[float, ...], more: bool = False) -> Path:
    """A VOC folder with one rotated image, annotated with this size and box; ``more``: also one without a size."""
    write_image(root / "JPEGImages" / "a.jpg", STORED, orientation, BOX)
    (root / "Annotations").mkdir(parents=True)
    (root / "Annotations" / "a.xml").write_text(xml("a.jpg", [("cat", box)], size))  # type: ignore[list-item]
    write_list(root, "train", ["a", "b"] if more else ["a"])
    return root


def _seen(sample: Sample) -> np.ndarray:
    """The box of the white pixels in the decoded image."""
    pixels = read_image(sample.path)
    assert pixels is not None
    assert pixels.shape[1::-1] == (sample.width, sample.height)
    ys, xs = np.nonzero(pixels[:, :, 0] > 150)
    return np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])


@pytest.mark.parametrize("orientation", TURNED)
def test_boxes_of_the_stored_image_turn_with_it(tmp_path: Path, orientation: int) -> None:
    dataset = load(_set(tmp_path, orientation, STORED, BOX))
    np.testing.assert_allclose(dataset.samples[0].boxes[0], _seen(dataset.samples[0]), atol=2)
    assert dataset.findings.counts() == {"repaired images: rotated by EXIF: boxes rotated with the image": 1}


@pytest.mark.parametrize("orientation", TURNED)
def test_boxes_of_the_upright_image_stay(tmp_path: Path, orientation: int) -> None:
    write_image(tmp_path / "probe.jpg", STORED, orientation, BOX)
    upright = _seen(Sample.make(tmp_path / "probe.jpg", (120, 160), "train", [], []))
    dataset = load(_set(tmp_path / "set", orientation, (120, 160), tuple(upright.tolist())))
    np.testing.assert_allclose(dataset.samples[0].boxes[0], upright)


@pytest.mark.parametrize("size", [(200, 100), (160, 90)])
def test_a_size_that_fits_no_orientation_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    with pytest.raises(DatasetError, match="1 boxes   annotation's image size contradicts the image"):
        load(_set(tmp_path, 6, size, BOX))


def test_without_a_size_the_rest_of_the_set_decides(tmp_path: Path) -> None:
    root = _set(tmp_path, 6, STORED, BOX, more=True)
    write_image(root / "JPEGImages" / "b.jpg", STORED, 3, BOX)  # upside down: both sizes are the same
    (root / "Annotations" / "b.xml").write_text(xml("b.jpg", [("cat", BOX)], STORED))
    for sample in load(root).samples:
        np.testing.assert_allclose(sample.boxes[0], _seen(sample), atol=2)
    (root / "Annotations" / "a.xml").unlink()
    dataset = load(root)
    np.testing.assert_allclose(dataset.samples[0].boxes[0], BOX)
    assert "note images: rotated by EXIF, boxes read upright" in dataset.findings.counts()


def test_coco_yolo_and_manifests_turn_the_same_way(tmp_path: Path) -> None:
    x1, y1, x2, y2 = BOX
    write_image(tmp_path / "coco" / "images" / "a.jpg", STORED, 6, BOX)
    (tmp_path / "coco" / "annotations").mkdir()
    text = coco([(1, "a.jpg")], [(1, 1, [x1, y1, x2 - x1, y2 - y1])], {1: "cat"})
    (tmp_path / "coco" / "annotations" / "train.json").write_text(text)
    write_image(tmp_path / "own" / "a.jpg", STORED, 6, BOX)
    manifest.write(tmp_path / "own", ["cat"], [Sample.make(tmp_path / "own" / "a.jpg", STORED, "train", [BOX], [0])])
    for name in ("coco", "own"):
        sample = load(tmp_path / name).samples[0]
        np.testing.assert_allclose(sample.boxes[0], _seen(sample), atol=2)
    # YOLO's tools use the upright image
    left, top, right, bottom = _seen(sample) / [120, 160, 120, 160]
    line = f"0 {(left + right) / 2} {(top + bottom) / 2} {right - left} {bottom - top}"
    root = write_yolo(tmp_path / "yolo", "names: [cat]\ntrain: images/train\n", {"train/a": line})
    write_image(root / "images" / "train" / "a.jpg", STORED, 6, BOX)
    np.testing.assert_allclose(load(root).samples[0].boxes[0], _seen(sample), atol=1e-2)


def test_training_images_match_their_boxes(tmp_path: Path) -> None:
    dataset = load(_set(tmp_path, 8, STORED, BOX))
    cache = ImageCache.build(dataset, 100)
    x1, y1, x2, y2 = (cache.boxes[0, 0] * 100).round().int().tolist()
    assert cache.images[0, y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].min() > 200
    cache.images[0, max(0, y1 - 2) : y2 + 2, max(0, x1 - 2) : x2 + 2] = 0
    assert cache.images[0].max() < 150


@pytest.mark.parametrize("orientation", [1, 6, 3])
def test_large_jpegs_are_decoded_at_a_fraction_and_look_the_same(tmp_path: Path, orientation: int) -> None:
    box = (160, 120, 640, 420)
    write_image(tmp_path / "a.jpg", (1600, 1201), orientation, box)
    header = read_header(tmp_path / "a.jpg")
    assert isinstance(header, Header)
    dataset = Dataset(tmp_path, ("cat",), (Sample.make(tmp_path / "a.jpg", header.upright, "train", [], []),))
    found = read_reduced(tmp_path / "a.jpg", 300)
    assert found is not None
    assert found[1] == 4
    fast, exact = (ImageCache.build(dataset, 300, exact=way).images[0].int() for way in (False, True))
    assert (fast - exact).abs().float().mean() < 1.0
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:9000])
    assert read_reduced(tmp_path / "a.jpg", 300) is None


def test_another_resolution_is_scaled(tmp_path: Path) -> None:
    write_image(tmp_path / "JPEGImages" / "a.jpg", STORED, 1, BOX)
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text(xml("a.jpg", [("cat", (64, 48, 256, 168))], (640, 480)))
    dataset = load(tmp_path)
    assert dataset.samples[0].boxes[0].tolist() == list(BOX)
    assert dataset.findings.counts() == {"repaired images: annotated at another resolution: boxes scaled": 1}
    assert Dataset(tmp_path, (), dataset.samples).samples[0].width == 160


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_every_format_turns_the_same_way(tmp_path: Path, suffix: str, orientation: int) -> None:
    write_image(tmp_path / f"a.{suffix}", STORED, orientation, BOX)
    header = read_header(tmp_path / f"a.{suffix}")
    assert header == Header(STORED, orientation)
    pixels = read_image(tmp_path / f"a.{suffix}")
    assert pixels is not None
    assert pixels.shape[1::-1] == header.upright
    ys, xs = np.nonzero(pixels[:, :, 0] > 150)
    (box,) = turn(np.array([BOX], np.float32), header)
    np.testing.assert_allclose([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], box, atol=2)
