"""Fan-out: the newest frame wins, no viewer starves, a slow viewer does not delay others."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest
from edgecam_core.types import Frame
from edgecam_ros.faults import FaultLog
from edgecam_viewer.encoder import JpegEncoder
from edgecam_viewer.feed import AnnotatedFrame
from edgecam_viewer.hub import Client, Hub
from edgecam_viewer.wire import FrameMessage, pack


def frame(camera: int, stamp: int) -> FrameMessage:
    return pack(camera, stamp, (1, 1), None, np.zeros(1, np.uint8))


async def test_the_newest_frame_of_each_camera_wins() -> None:
    client = Client([0, 1])
    for stamp in range(5):
        client.offer(0, frame(0, stamp))
        client.offer(1, frame(1, stamp + 100))
    items = [await client.next(), await client.next()]
    assert [(item.camera, item.stamp_ns) for item in items] == [(0, 4), (1, 104)]
    assert client.skipped == 8
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(client.next(), 0.01)


async def test_a_busy_camera_does_not_starve_another() -> None:
    client = Client([0, 1])
    client.offer(0, frame(0, 1))
    client.offer(1, frame(1, 2))
    assert (await client.next()).camera == 0
    client.offer(0, frame(0, 3))
    assert (await client.next()).camera == 1


async def test_publishing_from_a_thread_reaches_the_viewers() -> None:
    hub = Hub(cameras=2, max_viewers=8)
    hub.attach(asyncio.get_running_loop())
    both, second = Client([0, 1]), Client([1])
    hub.join(both)
    hub.join(second)
    assert hub.watchers == [1, 2]
    await asyncio.to_thread(hub.publish, frame(0, 7))
    assert (await both.next()).stamp_ns == 7
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(second.next(), 0.01)
    hub.watch(second, [0, 5, -1])  # cameras that do not exist are ignored
    assert hub.watchers == [2, 1]
    hub.leave(both)
    hub.leave(second)
    assert hub.watchers == [0, 0]


async def test_a_late_viewer_gets_the_last_note() -> None:
    hub = Hub(1, 8)
    hub.attach(asyncio.get_running_loop())
    hub.note("status", "old")
    hub.note("status", "new")
    await asyncio.sleep(0)
    client = Client([0])
    hub.join(client)
    assert await client.next() == "new"


async def test_publishing_after_the_end_is_harmless() -> None:
    hub = Hub(1, 8)
    loop = asyncio.new_event_loop()
    hub.attach(loop)
    loop.close()
    hub.publish(frame(0, 1))
    hub.attach(None)
    hub.publish(frame(0, 2))
    assert hub.viewers == 0


async def test_a_stuck_send_is_noticed() -> None:
    hub = Hub(1, 8)
    stuck, fine = Client([0]), Client([0])
    hub.join(stuck)
    hub.join(fine)
    stuck.began()
    fine.began()
    fine.done()
    stuck.busy_since = time.monotonic() - 5
    assert hub.stalled(2.0) == [stuck]
    assert hub.stalled(10.0) == []


def wait_until(condition, seconds: float = 120.0) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_the_encoder_counts_a_bad_frame_and_continues() -> None:
    got: list[FrameMessage] = []
    faults = FaultLog(print)
    encoder = JpegEncoder(got.append, faults, quality=80, max_width=640)
    encoder.start()
    too_wide = Frame.from_array(np.zeros((1, 70000), np.uint8), "mono8", 1)
    encoder.max_width = 100_000
    encoder.submit(0, AnnotatedFrame(too_wide, None))
    wait_until(lambda: encoder.counters.totals())
    encoder.submit(0, AnnotatedFrame(Frame.from_array(np.zeros((8, 8), np.uint8), "mono8", 2), []))
    wait_until(lambda: got)
    encoder.stop()
    assert [one.stamp_ns for one in got] == [2]
    assert faults.count == 0


def test_an_unexpected_error_is_logged_once_and_counted_and_the_thread_continues() -> None:
    log: list[str] = []
    faults = FaultLog(log.append)
    got: list[FrameMessage] = []

    def broken(frame: FrameMessage) -> None:
        if frame.stamp_ns < 3:
            raise RuntimeError("sink broke")
        got.append(frame)

    encoder = JpegEncoder(broken, faults, quality=80, max_width=640)
    encoder.start()
    for stamp in (1, 2, 3):
        encoder.submit(0, AnnotatedFrame(Frame.from_array(np.zeros((8, 8), np.uint8), "mono8", stamp), None))
        wait_until(lambda stamp=stamp: faults.count == min(stamp, 2))
    wait_until(lambda: got)
    encoder.stop()
    assert len(log) == 1
    assert "unexpected RuntimeError: sink broke (unit/test_viewer_hub.py:" in log[0]
