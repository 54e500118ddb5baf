"""Streams whose decoding order is not their display order, and senders whose time jumps."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from network import free_udp_port
from rtp_replay import Replay, Unit, clip
from rtp_scene import Reader, receiving
from waiting import wait_until

X264 = "x264enc speed-preset=veryfast rc-lookahead=10 threads=1 key-int-max=20 b-adapt=false "
X265 = "x265enc speed-preset=ultrafast key-int-max=20 option-string=scenecut=0:b-adapt=0:rc-lookahead=10:"
STREAMS = {
    "h264, 2 B-frames": X264 + "bframes=2 b-pyramid=false option-string=scenecut=0:open-gop=0",
    "h264, pyramid, open GOP": X264 + "bframes=4 b-pyramid=true option-string=scenecut=0:open-gop=1",
    "h265, 2 B-frames": X265 + "bframes=2:b-pyramid=0:open-gop=0",
    "h265, pyramid, open GOP": X265 + "bframes=4:b-pyramid=1:open-gop=1",
}
COUNT = 75


def stream(name: str) -> tuple[str, tuple[Unit, ...]]:
    encoder, _, options = STREAMS[name].partition(" ")
    return name[:4], clip(encoder, options, COUNT)


def indices(reader: Reader) -> list[int]:
    return [index for _, index, _ in reader.seen]


@pytest.mark.parametrize("way", ["ntp64", "rtcp", "arrival"])
@pytest.mark.parametrize("name", STREAMS)
def test_every_frame_has_its_own_capture_time(name: str, way: str) -> None:
    codec, units = stream(name)
    assert [unit.number for unit in units] != sorted(unit.number for unit in units), "the stream has no B-frames"
    port = free_udp_port()
    with receiving(port, codec=codec, latency=2000, feedback=False) as (receiver, reader):
        replay = Replay(port, codec, extension=way == "ntp64")
        for unit in units:
            if way == "rtcp":
                replay.report(unit.number)
            replay.send_when_ready(unit, receiver)
        # The decoder holds the last ones.
        wait_until(lambda: reader.seen and reader.seen[-1][1] >= COUNT - 10, what="the frames")
        replay.close()
        assert receiver.stats().stamp_source == way
    stamps = [stamp for stamp, _, _ in reader.seen]
    assert all(later > earlier for earlier, later in itertools.pairwise(stamps))
    assert indices(reader) == sorted(set(indices(reader)))
    assert len(reader.seen) > COUNT // 2  # on a busy machine the reader gets the newest one
    errors = [abs(stamp - replay.stamp_ns(index)) for stamp, index, _ in reader.seen]
    if way != "arrival":
        assert max(errors) <= {"ntp64": 0, "rtcp": 2_000_000}[way]


def _rtp_time_back(replay: Replay) -> None:
    replay.rtp_offset -= 20 * 90_000


def _rtp_time_ahead(replay: Replay) -> None:
    replay.rtp_offset += 20 * 90_000


def _rtp_time_a_little_back(replay: Replay) -> None:
    replay.rtp_offset -= 27_000


def _sequence_back(replay: Replay) -> None:
    replay.sequence = (replay.sequence - 500) & 0xFFFF


def _both_back(replay: Replay) -> None:
    _rtp_time_back(replay)
    _sequence_back(replay)


JUMPS = [_rtp_time_back, _rtp_time_ahead, _rtp_time_a_little_back, _sequence_back, _both_back]


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("name", ["h264, 2 B-frames", "h265, pyramid, open GOP"])
def test_a_jump_of_the_sender_costs_one_keyframe_interval_at_most(name: str, jump: Callable[[Replay], None]) -> None:
    codec, units = stream(name)
    port = free_udp_port()
    with receiving(port, codec=codec, latency=2000, feedback=False) as (receiver, reader):
        replay = Replay(port, codec)
        for unit in units[:30]:
            replay.report(unit.number)
            replay.send_when_ready(unit, receiver)
        # Reports and packets arrive on different ports: a report that is read before old packets would also date them.
        wait_until(lambda: receiver._meter.datagrams >= replay.sent, what="the packets of the old timeline")
        wait_until(lambda: reader.seen and reader.seen[-1][1] >= 20, what="frames of the old timeline")
        jump(replay)
        for unit in units[30:]:
            replay.report(unit.number)
            replay.send_when_ready(unit, receiver)
        wait_until(lambda: reader.seen and reader.seen[-1][1] >= COUNT - 8, what="frames of the new timeline")
        replay.close()
    seen = indices(reader)
    assert seen == sorted(set(seen))
    assert len(set(range(60, COUNT)) & set(seen)) >= 3
    stamps = [stamp for stamp, _, _ in reader.seen]
    assert all(later > earlier for earlier, later in itertools.pairwise(stamps))
    assert max(abs(stamp - replay.stamp_ns(index)) for stamp, index, _ in reader.seen[-5:]) <= 2_000_000
