"""A folder of events for the timeline's tests."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
from edgecam_core.events.event import BEGIN, END, Event
from edgecam_core.events.store import EventStore

SECOND = 10**9


def fill(folder: Path, count: int, clip: bytes, first: int = 0, hours_apart: float = 1.0, suffix: str = ".mp4") -> None:
    """``count`` events e0, e1, ... of the rules even (a dog on the sofa) and odd (a person in the garden), the last
    one now; each lasts two seconds and has a snapshot and the clip given."""
    store = EventStore(folder)
    jpeg = cv2.imencode(".jpg", np.full((90, 160, 3), (60, 160, 220), np.uint8))[1].tobytes()
    now = time.time_ns()
    for number in range(first, first + count):
        start = now - int((first + count - 1 - number) * hours_apart * 3600) * SECOND
        even = number % 2 == 0
        values = {
            "id": f"e{number}", "camera": "front", "rule": "even" if even else "odd",
            "kind": "stays" if even else "enters", "zone": "sofa" if even else "garden",
            "label": "dog" if even else "person", "track_id": str(number), "score": 0.5 + number / 1000,
            "box": (10.0, 10.0, 60.0, 60.0), "start_ns": start,
        }  # fmt: skip
        store.begin(Event(state=BEGIN, stamp_ns=start, **values))  # type: ignore[arg-type]
        store.end(Event(state=END, stamp_ns=start + 2 * SECOND, **values))  # type: ignore[arg-type]
        store.add_snapshot(f"e{number}", jpeg)
        path = folder / "clips" / f"e{number}{suffix}"
        path.write_bytes(clip)
        store.add_clip(f"e{number}", path)
    store.close()
