"""Observations, and a collector that gets them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from edgecam_core.collect.collector import Collector
from edgecam_core.collect.observation import Observation
from edgecam_core.collect.settings import CollectorSettings
from edgecam_core.types import Detection, Frame

SECOND = 1_000_000_000


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8).repeat(20, 0).repeat(20, 1)


def seen(number: int, score: float = 0.45, camera: str = "front") -> Observation:
    frame = Frame.from_array(noise(number), "bgr8", (100 + number) * SECOND, "lens")
    return Observation(camera, frame, (Detection("cat", 0, score, (10.0, 20.0, 60.0, 80.0), "3"),))


def settings(folder: Path, **values: object) -> CollectorSettings:
    values = {"rules": ("uncertain",), "min_free_megabytes": 0.0, **values}
    return CollectorSettings(directory=str(folder), **values)  # type: ignore[arg-type]


def collect(folder: Path, *observations: Observation, **values: object) -> Collector:
    collector = Collector(settings(folder, **values))
    collector.model = {"name": "m", "sha256": "ab"}
    for one in observations:
        collector.examine(one)
    collector.close()
    return collector
