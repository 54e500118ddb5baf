"""The clips and photographs of the demonstration, with their ground truth.

Scenes are composed of cut-outs on photographs (edgecam_training.data.compose). A clip is a slow zoom over each of its
scenes. Training and test material share no cut-out of a new class, no background, no distractor and no photograph.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from edgecam_core.media.image_reader import read_image
from edgecam_training.data import manifest
from edgecam_training.data.compose import CompositionPlan, compose
from edgecam_training.data.dataset import Sample
from edgecam_training.data.materials import SceneMaterial, gather
from edgecam_training.improve.field import LabelledImage

WIDTH, HEIGHT, FPS = 640, 480, 10
FIELD_SCENES, HELD_OUT_SCENES = 80, 30
SECONDS = 2.5  # per scene
ZOOM = 0.92  # visible share of a scene at the end of its zoom
# Class name of the material -> label. The default model knows the last two, under these names.
LABELS = {"Pig": "pig", "Chicken": "chicken", "Cattle": "cow", "Sheep": "sheep"}
PHOTOS = json.loads(Path(__file__).with_name("photos.json").read_text())
Frame = tuple[np.ndarray, np.ndarray, tuple[str, ...]]


def make(folder: Path) -> None:
    """Write field.mp4, held-out.mp4 and their scenes into the folder; downloads 205 MB the first time.

    Raises:
        DatasetError, MissingDependency: the material cannot be downloaded, or ffmpeg is missing.
    """
    material = gather()
    cutouts, held_out_cutouts = (
        {LABELS[name]: pool.get(name, []) for name in LABELS} for pool in (material.cutouts, material.held_out)
    )
    field = replace(material, cutouts=cutouts, held_out={}, others=material.others[::2], real=[])
    held_out = replace(material, cutouts=cutouts, held_out=held_out_cutouts, others=material.others[1::2], real=[])
    size = {"val": 0, "width": WIDTH, "height": HEIGHT}
    _clip(folder, "field", field, CompositionPlan(train=FIELD_SCENES, held_out=0, seed=1, **size))
    _clip(folder, "held-out", held_out, CompositionPlan(train=0, held_out=HELD_OUT_SCENES, seed=2, **size))
    _photos(folder / "photos", material.real)


def clip(folder: Path, name: str) -> Path:
    return folder / f"{name}.mp4"


def _clip(folder: Path, name: str, material: SceneMaterial, plan: CompositionPlan) -> None:
    compose(material, folder / name, plan)
    command = (
        f"ffmpeg -hide_banner -loglevel error -y -f rawvideo -pix_fmt bgr24 -s {WIDTH}x{HEIGHT} -r {FPS} -i - -an "
        f"-pix_fmt yuv420p -c:v libx264 -preset superfast -crf 20 -g {FPS} -bf 0"
    )
    partial = folder / f"{name}.partial.mp4"
    process = subprocess.Popen([*command.split(), str(partial)], stdin=subprocess.PIPE)
    assert process.stdin is not None
    with process.stdin as pipe:
        for pixels, _, _ in frames(folder, name):
            pipe.write(pixels.tobytes())
    if process.wait():
        raise SystemExit(f"ffmpeg ended with exit code {process.returncode}")
    partial.rename(clip(folder, name))


def frames(folder: Path, name: str, step: int = 1) -> Iterator[Frame]:
    """Every ``step``-th frame of a clip before coding: BGR pixels, boxes x1 y1 x2 y2 in pixels, labels."""
    dataset = manifest.read(folder / name)
    count = round(SECONDS * FPS)
    for sample in dataset.samples:
        scene = read_image(sample.path)
        labels = tuple(dataset.classes[label] for label in sample.labels)
        for number in range(0, count, step):
            scale = 1 / np.interp(number, (0, count - 1), (1.0, ZOOM))
            shift = np.array([WIDTH, HEIGHT]) * (1 - scale) / 2
            matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
            boxes = sample.boxes * scale + np.tile(shift, 2)
            yield cv2.warpAffine(scene, matrix, (WIDTH, HEIGHT)), _inside(boxes), labels


def _inside(boxes: np.ndarray) -> np.ndarray:
    return np.clip(boxes, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT]).astype(np.float32)


def _photos(folder: Path, real: list[Sample]) -> None:
    """The photographs at the size of the boxes in photos.json."""
    folder.mkdir(parents=True, exist_ok=True)
    for sample in real:
        if sample.path.stem in PHOTOS:
            cv2.imwrite(str(folder / f"{sample.path.stem}.png"), read_image(sample.path))


def photographs(folder: Path) -> list[LabelledImage]:
    """The held-out photographs with their boxes."""
    found = []
    for name, objects in PHOTOS.items():
        boxes = np.array([one["box"] for one in objects], np.float32).reshape(-1, 4)
        found.append(LabelledImage(folder / "photos" / f"{name}.png", boxes, tuple(one["label"] for one in objects)))
    return found


def held_out(folder: Path) -> list[LabelledImage]:
    """Two decoded frames of each scene of the held-out clip, written as PNG files."""
    target = folder / "held-out-frames"
    target.mkdir(exist_ok=True)
    capture = cv2.VideoCapture(str(clip(folder, "held-out")))
    found = []
    step = round(SECONDS * FPS) // 2
    for number, (_, boxes, labels) in enumerate(frames(folder, "held-out")):
        ok, pixels = capture.read()
        if not ok:
            raise SystemExit(f"{clip(folder, 'held-out')} ends after {number} frames; delete {folder} and start again")
        if number % round(SECONDS * FPS) in (0, step):
            path = target / f"{number:05d}.png"
            cv2.imwrite(str(path), pixels)
            found.append(LabelledImage(path, boxes, labels))
    capture.release()
    return found


class ClipTruth:
    """The ground truth of a clip's frames, found by comparing pixels."""

    def __init__(self, folder: Path, name: str) -> None:
        self._frames: list[tuple[np.ndarray, tuple[str, ...]]] = []
        thumbnails = []
        for pixels, boxes, labels in frames(folder, name, step=2):
            thumbnails.append(_thumbnail(pixels))
            self._frames.append((boxes, labels))
        self._thumbnails = np.stack(thumbnails)

    def of(self, pixels: np.ndarray) -> list[tuple[str, tuple[float, ...]]]:
        """Label and box of every object in a frame of the clip."""
        distance = np.abs(self._thumbnails - _thumbnail(pixels)).mean(axis=(1, 2, 3))
        boxes, labels = self._frames[int(distance.argmin())]
        return [(label, tuple(map(float, box))) for label, box in zip(labels, boxes, strict=True)]


def _thumbnail(pixels: np.ndarray) -> np.ndarray:
    return cv2.resize(pixels, (32, 24), interpolation=cv2.INTER_AREA).astype(np.float32)
