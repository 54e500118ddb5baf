"""Events as the outputs get them."""

from __future__ import annotations

from edgecam_core.events.event import BEGIN, Event
from edgecam_core.events.outputs.message import Outgoing

SECOND = 10**9

QUICK = 0.05  # seconds before the second attempt


def outgoing(number: int, state: str = BEGIN, **fields: object) -> Outgoing:
    values = {
        "id": f"e{number}", "state": state, "camera": "front", "rule": "sofa", "kind": "stays", "zone": "sofa",
        "label": "dog", "score": 0.75, "box": (1.0, 2.0, 3.0, 4.0), "start_ns": number * SECOND,
        "stamp_ns": number * SECOND,
    }  # fmt: skip
    event = Event(**{**values, **fields})  # type: ignore[arg-type]
    return Outgoing(event, event.snapshot, f"clips/{event.id}.mkv")
