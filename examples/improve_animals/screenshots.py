"""Creates the screenshots of docs/tutorials/own-classes.md: ``python3 -m examples.improve_animals.screenshots [RUN]``.

The labelling page shows frames of the shipped clip (CC0). ``RUN`` is the folder of a finished ``make demo-improve``,
for the screenshot of its report.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.records import Box, KeptFrame
from edgecam_core.media.image_reader import read_image
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings

from examples.improve_animals import ROOT, labelling
from tests.support.chromium import chromium
from tests.support.network import free_tcp_port

IMAGES = ROOT / "docs" / "images"
SIZE = (640, 480)
TIMES = (13.0, 1.0, 7.0, 10.0)  # seconds; the first shows chickens, which the default model calls birds


def collected(folder: Path) -> Collection:
    """Some frames of the clip with the default model's boxes as proposals."""
    collection = Collection.create(folder)
    detector = Detector.open(DetectorSettings(confidence_threshold=0.3))
    clip = cv2.VideoCapture(str(ROOT / "media" / "animals.mp4"))
    for number, second in enumerate(TIMES):
        clip.set(cv2.CAP_PROP_POS_MSEC, second * 1000)
        _, pixels = clip.read()
        found = detector.detect(pixels)
        proposals = tuple(Box(one.label, (one.box[0], one.box[1], one.box[2], one.box[3]), one.score) for one in found)
        stamp, value = 1_700_000_000_000_000_000 + number * 10**10, 1 - number / 10
        rules = ({"rule": "uncertain", "value": 0.52}, {"rule": "novel", "value": 28})
        name = f"{number:04d}"
        image = f"images/camera/{name}.jpg"
        frame = KeptFrame(name, image, *SIZE, stamp, "", "camera", rules, proposals, value=value)
        collection.add(frame, cv2.imencode(".jpg", pixels)[1].tobytes())
    collection.set_classes(["chicken"])
    return collection


def label(folder: Path) -> None:
    """Create label-proposals.jpg and label-corrected.jpg."""
    collection = collected(folder / "c")
    objects = {}  # by the image's bytes
    for frame in collection.frames():
        renamed = "chicken" if frame.id == "0000" else ""
        pixels = read_image(collection.image_path(frame))
        objects[pixels.tobytes()] = [(renamed or box.label, box.box) for box in frame.proposals]

    def truth(pixels: np.ndarray) -> labelling.Objects:
        return list(objects[pixels.tobytes()])

    shot = folder / "shot.png"
    with labelling.served(folder / "c", free_tcp_port()) as address:
        asyncio.run(labelling.review(folder / "c", address, truth, {1: shot}, print))
    _store(shot.with_stem("shot-proposals"), "label-proposals.jpg")
    _store(shot, "label-corrected.jpg")


async def report(run: Path, folder: Path) -> None:
    """Create improve-report.jpg: the top of the report."""
    async with chromium(folder / "browser") as page:
        await page.size(1000, 470)
        await page.open((run / "improve" / "report.html").resolve().as_uri())
        await page.wait_for("document.readyState === 'complete' && document.querySelector('table') !== null")
        await page.screenshot(folder / "report.png")
    _store(folder / "report.png", "improve-report.jpg")


def _store(source: Path, name: str) -> None:
    cv2.imwrite(str(IMAGES / name), read_image(source), [cv2.IMWRITE_JPEG_QUALITY, 85])
    print(IMAGES / name, (IMAGES / name).stat().st_size, "bytes")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        label(Path(folder))
        if len(sys.argv) > 1:
            asyncio.run(report(Path(sys.argv[1]), Path(folder)))


if __name__ == "__main__":
    main()
