"""Joining a stream and resuming after a loss at every kind of random access point: each published frame is intact."""

from __future__ import annotations

import pytest
from network import free_udp_port
from rtp_replay import Replay, Unit, clip
from rtp_scene import Reader, keep_every_frame, receiving
from waiting import wait_until

FAST264 = "x264enc speed-preset=ultrafast threads=1 key-int-max=20 "
FAST265 = "x265enc speed-preset=ultrafast key-int-max=20 "
STREAMS = {
    "h264 IDR": FAST264 + "tune=zerolatency option-string=scenecut=0",
    "h264 intra refresh": FAST264 + "tune=zerolatency intra-refresh=true option-string=scenecut=0:repeat-headers=1",
    "h264 open GOP": FAST264 + "bframes=3 b-adapt=false b-pyramid=true option-string=scenecut=0:open-gop=1",
    "h265 CRA": FAST265 + "tune=zerolatency option-string=scenecut=0:open-gop=1",
    "h265 open GOP": FAST265 + "option-string=scenecut=0:open-gop=1:bframes=3:b-adapt=0",
    "h265 RADL": FAST265 + "option-string=scenecut=0:open-gop=0:bframes=3:b-adapt=0:radl=2",
}
COUNT = 70
GOOD = 26.0  # dB; the clips are coded with over 30, invented references give less than 20


def stream(name: str) -> tuple[str, tuple[Unit, ...]]:
    encoder, _, options = STREAMS[name].partition(" ")
    return name[:4], clip(encoder, options, COUNT)


def shown(codec: str, units: tuple[Unit, ...], lost: range, last: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the frames published, each of them checked against its source."""
    monkeypatch.setattr(Reader, "keep_every", 1)
    port = free_udp_port()
    with receiving(port, codec=codec, latency=50, feedback=False) as (receiver, reader):
        keep_every_frame(receiver)
        replay = Replay(port, codec, extension=True)
        for turn, unit in enumerate(units):
            replay.send_when_ready(unit, receiver, lost=turn in lost)
        wait_until(lambda: reader.seen and reader.seen[-1][1] >= last, what="the last frames")
        replay.close()
        stamps = {replay.stamp_ns(unit.number): unit.number for unit in units}
        assert min(reader.quality(stamps)) > GOOD
        assert all(stamps[stamp] == index for stamp, index, _ in reader.seen)
        return [index for _, index, _ in reader.seen]


@pytest.mark.parametrize("begin", [1, 13])
@pytest.mark.parametrize("name", STREAMS)
def test_a_receiver_that_joins_late_shows_intact_frames(name: str, begin: int, monkeypatch: pytest.MonkeyPatch) -> None:
    codec, units = stream(name)
    seen = shown(codec, units, range(begin), COUNT - 10, monkeypatch)
    assert seen[0] <= begin + 45  # an intra refresh takes up to two keyframe intervals


@pytest.mark.parametrize("name", STREAMS)
def test_entire_frames_may_be_lost_before_a_random_access_point(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    codec, units = stream(name)
    point = next(turn for turn, unit in enumerate(units) if unit.number == 40)
    seen = shown(codec, units, range(point - 4, point), COUNT - 10, monkeypatch)
    assert seen == sorted(set(seen))
    assert min(seen) < 10
    assert max(seen) >= COUNT - 10
