from __future__ import annotations

import threading
from collections import deque

import pytest
from edgecam_core.mailbox import Mailbox


def test_the_newest_item_of_a_source_wins() -> None:
    box: Mailbox[int] = Mailbox()
    assert [box.put("a", item) for item in (1, 2, 3)] == [None, 1, 2]
    assert box.take() == [("a", 3)]


def test_a_busy_source_cannot_starve_the_others() -> None:
    box: Mailbox[int] = Mailbox()
    served = []
    for turn in range(30):
        for name in ("busy", "b", "c"):
            box.put(name, turn)
        box.put("busy", turn)
        served += [name for name, _ in box.take()]
    assert [served.count(name) for name in ("busy", "b", "c")] == [10, 10, 10]


def test_four_cameras_at_30_hz_into_25_a_second() -> None:
    """Ten minutes of overload in simulated time: a frame waits at most for the next take and one frame in progress."""
    box: Mailbox[float] = Mailbox()
    period, service = 1 / 30, 1 / 25
    phases = {"a": 0.0, "b": 0.007, "c": 0.015, "d": 0.021}
    arrivals = deque(sorted((n * period + phase, name) for n in range(18_000) for name, phase in phases.items()))
    served: list[str] = []
    latencies = []
    now = 0.0
    while arrivals:
        while arrivals and arrivals[0][0] <= now:
            taken, name = arrivals.popleft()
            box.put(name, taken)
        ((name, taken),) = box.take()
        now += service
        served.append(name)
        latencies.append(now - taken)
    assert len(served) == pytest.approx(600 * 25, rel=0.01)
    assert max(latencies) <= period + service + 1e-6 < 3 * period
    shares = [served.count(name) * len(phases) / len(served) for name in phases]
    assert shares == pytest.approx([1.0] * len(phases), rel=0.2)


def test_a_batch_holds_each_source_once() -> None:
    box: Mailbox[int] = Mailbox()
    for name in ("a", "b", "c"):
        box.put(name, 1)
    first = [name for name, _ in box.take(2)]
    for name in first:
        box.put(name, 2)
    second = [name for name, _ in box.take(2)]
    assert len(set(first)) == 2
    assert second[0] not in first  # the source that waited longest comes first
    assert len(second) == 2


def test_the_batch_wait_is_for_known_sources_only() -> None:
    box: Mailbox[int] = Mailbox()
    box.put("a", 1)
    assert box.take(4, linger=60.0) == [("a", 1)]  # no other source is known
    box.put("b", 1)
    box.take()
    box.put("a", 2)
    late = threading.Thread(target=box.put, args=("b", 2))
    late.start()
    assert sorted(box.take(4, linger=60.0)) == [("a", 2), ("b", 2)]
    late.join()


def test_the_batch_wait_ends() -> None:
    box: Mailbox[int] = Mailbox()
    box.put("b", 1)
    box.take()
    box.put("a", 2)
    assert box.take(4, linger=0.01) == [("a", 2)]


def test_closing_wakes_the_consumer() -> None:
    box: Mailbox[int] = Mailbox()
    taken: list[object] = []
    consumer = threading.Thread(target=lambda: taken.append(box.take()))
    consumer.start()
    box.close()
    consumer.join(timeout=120)
    assert taken == [[]]
    assert box.put("a", 1) == 1
