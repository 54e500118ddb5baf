"""Events: CPU time of five rules, and of storing coded frames for clips."""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from edgecam_core.events.clips import CodedFrame
from edgecam_core.events.engine import EventEngine
from edgecam_core.events.keeper import Keeper
from edgecam_core.events.settings import EventsSettings
from edgecam_core.models.tracker import Tracker
from edgecam_core.types import Detection, Detections

from benchmarks.recording import RATE, SIZE, clip_frames
from benchmarks.row import Row

OBJECTS, FRAMES = 10, 300
_START, _STEP = 1_700_000_000 * 10**9, 10**9 // RATE
_SETTINGS = {
    "zones": ("left: 0,0 0.5,0 0.5,1 0,1", "right: 0.5,0 1,0 1,1 0.5,1"),
    "lines": ("middle: 0.5,1 0.5,0",),
    "rules": (
        "a: any enters left", "b: any leaves right", "c: person stays 2s in left", "d: any crosses middle",
        "e: person count above 5 in right for 1s",
    ),
    "min_free_megabytes": 0.0,
}  # fmt: skip


def rows() -> list[Row]:
    return [
        Row(
            "events_rules_cpu",
            f"CPU time of five rules per frame with {OBJECTS} tracked objects",
            "ms",
            "our tracker on the same detections",
            rules_cost,
            tracker_cost,
            label="Five rules on a frame with ten objects",
        ),
        Row(
            "events_keeping_cpu_jpeg_1920x1080",
            f"CPU time of keeping one 1920x1080 JPEG frame at {RATE} Hz for clips while a clip is written",
            "ms",
            "encoding the same frame as JPEG",
            keeping_cost,
            partial(jpeg_cost, SIZE),
            label="Keeping a 1080p JPEG frame for clips",
        ),
    ]


def found(number: int) -> list[Detection]:
    """Ten objects that move back and forth across the image."""
    width, height = SIZE
    made = []
    for index in range(OBJECTS):
        x = width * (0.5 + 0.45 * np.sin((number + 30 * index) / 40))
        y = height * (index + 1) / (OBJECTS + 2)
        label = "person" if index % 2 else "dog"
        made.append(Detection(label, index % 2, 0.8, (x - 40, y - 60, x + 40, y + 60), str(index)))
    return made


def rules_cost() -> float:
    """Milliseconds of CPU time per frame."""
    engine = EventEngine(EventsSettings.from_mapping(_SETTINGS))
    frames = [found(number) for number in range(FRAMES)]
    cpu, count = time.process_time(), 0
    for number, one in enumerate(frames):
        count += len(engine.process("camera", _START + number * _STEP, "", SIZE, one))
    spent = time.process_time() - cpu
    if not count:
        raise RuntimeError("the scene caused no event")
    return 1000 * spent / FRAMES


def tracker_cost() -> float:
    tracker, labels = Tracker(), ("dog", "person")
    frames = [
        Detections(
            np.array([one.box for one in row], np.float32),
            np.array([one.score for one in row], np.float32),
            np.array([one.class_id for one in row], np.int32),
            labels,
        )
        for row in map(found, range(FRAMES))
    ]
    sure = np.ones(OBJECTS, bool)
    cpu = time.process_time()
    for number, one in enumerate(frames):
        tracker.update(one, sure, _START + number * _STEP)
    return 1000 * (time.process_time() - cpu) / FRAMES


def keeping_cost() -> float:
    """Milliseconds of CPU time per frame, over all threads, with frames at RATE and one clip being written."""
    coded = [
        cv2.imencode(".jpg", pixels)[1].tobytes() for _, pixels in zip(range(RATE), clip_frames(SIZE), strict=False)
    ]
    with tempfile.TemporaryDirectory() as folder:
        settings = EventsSettings.from_mapping({**_SETTINGS, "events_directory": folder, "buffer_megabytes": 200.0})
        keeper, engine = Keeper(settings), EventEngine(settings)
        begin, cpu = time.monotonic(), time.process_time()
        for number in range(FRAMES):
            time.sleep(max(0.0, begin + number / RATE - time.monotonic()))
            keeper.frame("camera", CodedFrame(_START + number * _STEP, "jpeg", coded[number % len(coded)]))
            if number == FRAMES // 3:
                one = engine.process("camera", _START, "", SIZE, found(0))
                one += engine.process("camera", _START + number * _STEP, "", SIZE, found(0))
                keeper.event(one[0])
        keeper.close()
        spent = time.process_time() - cpu
        if not list((Path(folder) / "clips").iterdir()):
            raise RuntimeError(f"no clip was written: {keeper.problem}")
        return 1000 * spent / FRAMES


def jpeg_cost(size: tuple[int, int]) -> float:
    pixels = [frame for _, frame in zip(range(RATE), clip_frames(size), strict=False)]
    cpu = time.process_time()
    for frame in pixels:
        cv2.imencode(".jpg", frame)
    return 1000 * (time.process_time() - cpu) / len(pixels)
