"""The demonstration's reviewer enters exactly the given boxes on the labelling page, by keyboard and mouse."""

from __future__ import annotations

import asyncio
from pathlib import Path

import cv2
import numpy as np
import pytest
from chromium import needs_chromium
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.records import REVIEWED, Box, KeptFrame
from network import free_tcp_port

from examples.improve_animals import labelling

pytestmark = needs_chromium
SIZE = (320, 240)
# A frame's brightness -> its proposals and the ground truth.
PROPOSED = {
    40: [("dog", (20, 30, 120, 200)), ("cow", (22, 32, 122, 202)), ("cat", (200, 10, 250, 60))],
    120: [("cat", (50, 50, 150, 150))],
    200: [("bird", (0, 0, 320, 240))],
}
TRUTH = {
    40: [("pig", (20, 30, 120, 200)), ("hen", (60, 80, 260, 220))],
    120: [("cat", (50, 50, 150, 150)), ("cat", (60, 60, 140, 140)), ("hen", (55, 160, 300, 235))],
    200: [],
}


def fill(folder: Path) -> Collection:
    collection = Collection.create(folder)
    for brightness, boxes in PROPOSED.items():
        name = f"{brightness:04d}"
        proposals = tuple(Box(label, tuple(map(float, box)), 0.5) for label, box in boxes)
        frame = KeptFrame(
            name,
            f"images/front/{name}.png",
            *SIZE,
            brightness,
            "",
            "front",
            ({"rule": "novel", "value": 20},),
            proposals,
        )
        collection.add(frame, cv2.imencode(".png", np.full((SIZE[1], SIZE[0], 3), brightness, np.uint8))[1].tobytes())
    return collection


def test_every_frame_gets_its_ground_truth(tmp_path: Path) -> None:
    collection = fill(tmp_path / "c")
    screenshot = tmp_path / "screenshot.png"
    with labelling.served(tmp_path / "c", free_tcp_port()) as address:

        def truth(pixels: np.ndarray) -> labelling.Objects:
            return [(label, tuple(map(float, box))) for label, box in TRUTH[int(pixels[0, 0, 0])]]

        asyncio.run(labelling.review(tmp_path / "c", address, truth, {1: screenshot}, print))
    for brightness, objects in TRUTH.items():
        review = collection.review(f"{brightness:04d}")
        assert review is not None
        assert review.state == REVIEWED
        found = sorted((box.label, box.box) for box in review.boxes)
        for (label, box), (expected, corners) in zip(found, sorted(objects), strict=True):
            assert label == expected
            assert box == pytest.approx(corners, abs=2.5)
    assert screenshot.read_bytes().startswith(b"\x89PNG")
    assert screenshot.with_stem("screenshot-proposals").is_file()
