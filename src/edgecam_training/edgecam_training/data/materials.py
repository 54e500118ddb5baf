# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Source material of the demonstration data: animal cut-outs, backgrounds and real photographs from Debian packages.

It is not part of edgecam: the stamps are from Tux Paint (GPL-2), the photographs from GCompris (CC0 or public domain
according to its README) and darknet. They are downloaded on request and kept in the cache.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from edgecam_core.cache import cache_dir

from edgecam_training.data import qt_resources
from edgecam_training.data.dataset import Sample
from edgecam_training.data.debian import unpack
from edgecam_training.errors import DatasetError

# By class: stamps for training, stamps held out for the test. Names are those of Open Images.
CLASSES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Zebra": (("equines/zebra",), ()),
    "Rhinoceros": (("mammals/rhino_black",), ()),
    "Whale": (("aquatic/whale",), ("aquatic/orca",)),
    "Cattle": (("bovines/bull", "bovines/cow", "bovines/zebu"), ("bovines/cow_white",)),
    "Sheep": (("bovines/sheep", "bovines/ram"), ("bovines/sheep_lamb",)),
    "Pig": (("mammals/pig_golden", "mammals/pig_golden2"), ("mammals/pig",)),
    "Chicken": (("birds/hen", "birds/rooster"), ("birds/chicken_profile",)),
}
# The COCO class whose weights each class starts from.
LIKENESS = (
    "Zebra=zebra", "Rhinoceros=elephant", "Whale=boat", "Cattle=cow", "Sheep=sheep", "Pig=sheep", "Chicken=bird",
)  # fmt: skip
_UNCLEAR = (
    "bovines/yak",
    "bovines/bison",
    "mammals/wildboar",
    "toys/",
)  # no class, but too similar to one to be background objects
_PACKAGES = ("tuxpaint-stamps-default", "gcompris-qt-data", "darknet")
_STAMPS = "usr/share/tuxpaint/stamps/animals"
_RCC = "usr/share/gcompris-qt/rcc"
_DARKNET = ("giraffe",)
_VAL_EVERY = 4  # every fourth background is kept for validation


@dataclass(frozen=True)
class SceneMaterial:
    """``cutouts`` and ``held_out``: class -> (H, W, 4) uint8 BGRA; ``others``: cut-outs without a class;
    ``backgrounds`` and ``new_backgrounds`` (for validation): (H, W, 3) BGR; ``real``: photographs with boxes, and
    negatives without."""

    cutouts: dict[str, list[np.ndarray]]
    held_out: dict[str, list[np.ndarray]]
    others: list[np.ndarray]
    backgrounds: list[np.ndarray]
    new_backgrounds: list[np.ndarray]
    real: list[Sample]


def gather(folder: Path | None = None) -> SceneMaterial:
    """Download (205 MB the first time) and read all material. Blocks for the download, then for some seconds.

    Raises:
        DatasetError, MissingDependency: a package cannot be downloaded, or lacks a file.
    """
    folder = folder or cache_dir("materials")
    stamps, gcompris, darknet = (unpack(package, folder) for package in _PACKAGES)
    found = {path.relative_to(stamps / _STAMPS).as_posix(): path for path in (stamps / _STAMPS).rglob("*.png")}
    named = {stamp for pair in CLASSES.values() for side in pair for stamp in side}
    others = [
        _cutout(path) for name, path in sorted(found.items())
        if "cartoon" not in name and not any(part in name for part in (*named, *_UNCLEAR))
    ]  # fmt: skip
    train, kept = ({name: [_stamp(found, s) for s in pair[i]] for name, pair in CLASSES.items()} for i in (0, 1))
    photos = _photographs(gcompris / _RCC / "categorization.rcc", ("/renewable/", "/monuments/"))
    images = [_shrunk(image) for _, image in photos]
    val = images[::_VAL_EVERY]
    rest = [image for index, image in enumerate(images) if index % _VAL_EVERY]
    return SceneMaterial(train, kept, [cut for cut in others if cut.size], rest, val, _real(folder, gcompris, darknet))


def _stamp(found: dict[str, Path], name: str) -> np.ndarray:
    path = next((path for key, path in found.items() if key.endswith(f"{name}.png")), None)
    if path is None:
        raise DatasetError(f"tuxpaint-stamps-default has no stamp {name}")
    return _cutout(path)


def _cutout(path: Path) -> np.ndarray:
    """Read BGRA, cropped to the pixels that are not transparent; empty without an alpha channel."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3 or pixels.shape[2] != 4:
        return np.empty((0, 0, 4), np.uint8)
    ys, xs = np.nonzero(pixels[:, :, 3] > 64)
    if not len(ys):
        return np.empty((0, 0, 4), np.uint8)
    return pixels[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]


def _photographs(archive: Path, folders: tuple[str, ...]) -> list[tuple[str, np.ndarray]]:
    found = []
    for path, data in sorted(qt_resources.files(archive.read_bytes())):
        if any(folder in f"/{path}" for folder in folders):
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            if pixels is not None:
                found.append((Path(path).stem, pixels))
    return found


def _shrunk(image: np.ndarray, side: int = 800) -> np.ndarray:
    factor = side / max(image.shape[:2])
    return image if factor >= 1 else cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def _real(folder: Path, gcompris: Path, darknet: Path) -> list[Sample]:
    """The photographs, saved as PNG, with boxes drawn by hand for this project."""
    drawn = json.loads(Path(__file__).with_name("real_boxes.json").read_text())
    target = folder / "real"
    target.mkdir(parents=True, exist_ok=True)
    photos = [
        item
        for name in ("explore_farm_animals.rcc", "explore_world_animals.rcc")
        for item in _photographs(gcompris / _RCC / name, ("/animals/",))
    ]
    for name in _DARKNET:
        pixels = cv2.imread(str(darknet / f"usr/share/darknet/data/{name}.jpg"))
        if pixels is not None:
            photos.append((f"darknet-{name}", pixels))
    samples = []
    for name, pixels in photos:
        if name in drawn:
            path = target / f"{name}.png"
            if not path.is_file():
                cv2.imwrite(str(path), pixels)
            boxes, labels = [item["box"] for item in drawn[name]], [item["label"] for item in drawn[name]]
            size = (pixels.shape[1], pixels.shape[0])
            samples.append(Sample.make(path, size, "real", boxes, [list(CLASSES).index(label) for label in labels]))
    missing = set(drawn) - {sample.path.stem for sample in samples}
    if missing:
        raise DatasetError(f"the packages lack the photographs {', '.join(sorted(missing))}")
    return samples
