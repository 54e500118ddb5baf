"""Sender and receiver over real UDP on this machine, with the real encoder and decoder."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edgecam_core.errors import ImageError
from edgecam_core.media import decoders
from edgecam_core.media.codecs import CODECS
from edgecam_core.rtp import rtp_session
from edgecam_core.rtp.decoder_supervisor import MAX_WAITING
from edgecam_core.rtp.receiver import Receiver
from edgecam_core.rtp.sender import Sender
from edgecam_core.rtp.settings import ReceiverSettings, SenderSettings
from edgecam_core.types import Frame
from network import free_udp_port
from rtp_scene import FIRST_STAMP, pixels_of, psnr, receiving, sending
from waiting import wait_until


@pytest.mark.parametrize("codec", ["h265", "h264"])
def test_frames_arrive_with_their_exact_capture_time(codec: str) -> None:
    port = free_udp_port()
    with receiving(port, codec=codec) as (receiver, reader), sending(port, codec=codec) as feed:
        wait_until(lambda: len(reader.seen) >= 40)
        newest = reader.newest
        stats = receiver.stats()
    assert newest is not None
    for stamp, index, size in reader.seen:
        assert feed.stamps[stamp] % 256 == index
        assert size == (320, 240)
    assert psnr(newest.bgr(), pixels_of(feed.stamps[newest.stamp_ns])) > 30
    assert (stats.state, stats.stamp_source, stats.lost, stats.streams) == ("running", "ntp64", 0, 1)


def test_a_late_receiver_starts_at_a_keyframe_without_asking() -> None:
    port = free_udp_port()
    with sending(port, keyframe_interval=15) as feed:
        wait_until(lambda: len(feed.stamps) >= 20)
        with receiving(port, feedback=False) as (receiver, reader):
            wait_until(lambda: reader.seen)
            assert receiver.stats().refused <= 15
    stamp, index, _ = reader.seen[0]
    assert feed.stamps[stamp] % 256 == index


def test_a_late_receiver_requests_a_keyframe_and_gets_it_soon() -> None:
    port = free_udp_port()
    with sending(port, keyframe_interval=3000) as feed:
        wait_until(lambda: len(feed.stamps) >= 10)
        with receiving(port) as (_, reader):
            wait_until(lambda: len(reader.seen) >= 5)
        assert len(feed.stamps) < 3000, "this was the next scheduled keyframe"


def test_a_new_sender_takes_over_after_one_died() -> None:
    port = free_udp_port()
    with receiving(port) as (receiver, reader):
        with sending(port):
            wait_until(lambda: len(reader.seen) >= 5)
        with sending(port, first=100, size=(400, 304)) as feed:
            wait_until(lambda: reader.seen[-1][2] == (400, 304))
        stats = receiver.stats()
    stamp, index, _ = reader.seen[-1]
    assert feed.stamps[stamp] == index
    assert stats.streams == 2


def test_stamps_that_jump_back_are_received_exactly() -> None:
    port = free_udp_port()
    stamps = [FIRST_STAMP, FIRST_STAMP + 1, FIRST_STAMP + 2, 5_000_000_000, 6, FIRST_STAMP + 10**13, 7]
    sender = Sender(SenderSettings(port=port))
    with receiving(port) as (_, reader):
        sender.start()
        for number, stamp in enumerate(stamps):
            sender.send(Frame.from_array(pixels_of(number), "bgr8", stamp, ""))
            wait_until(lambda count=number: len(reader.seen) > count)
        sender.stop()
    assert [(stamp, index) for stamp, index, _ in reader.seen] == [(s, n) for n, s in enumerate(stamps)]


def test_a_paused_reader_is_not_taken_for_a_stalled_decoder() -> None:
    port = free_udp_port()
    receiver = Receiver(ReceiverSettings(port=port))
    receiver.start()
    try:
        with sending(port) as feed:
            wait_until(lambda: len(feed.stamps) >= 90)
            assert receiver.stats().decoder_restarts == 0
            stamps = {wait_until(lambda: receiver.read(0.5)).stamp_ns for _ in range(8)}
        assert max(feed.stamps[stamp] for stamp in stamps) >= 85  # the newest ones, not the oldest
    finally:
        receiver.stop()


def test_a_decoder_that_is_too_slow_skips_to_keyframes(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_udp_port()
    text = "identity name=brake sleep-time=300000 ! avdec_h265 ! videoconvert"
    slow = replace(decoders.choose("avdec_h265", "h265"), text=text)
    monkeypatch.setattr(decoders, "choose", lambda *_: slow)
    with receiving(port) as (receiver, reader), sending(port, keyframe_interval=15) as feed:
        wait_until(lambda: receiver.stats().errors.get("frame dropped: the decoder is too slow"))
        assert receiver._decoder is not None
        assert receiver._decoder.waiting() <= MAX_WAITING + 1
        # Released, because on a slow machine too few frames arrive for any to be shed.
        receiver._decoder._pipeline._pipeline.element("brake").set_property("sleep-time", 0)
        shown = len(reader.seen)
        wait_until(lambda: len(reader.seen) >= shown + 35, what="frames after the queued ones")
        assert receiver.stats().decoder_restarts == 0
    for stamp, index, _ in reader.seen:
        assert feed.stamps[stamp] % 256 == index
    numbers = [feed.stamps[stamp] for stamp, _, _ in reader.seen]
    assert np.diff(numbers).max() > 1


def test_several_destinations_get_the_same() -> None:
    one, two = free_udp_port(), free_udp_port()
    with (
        receiving(one) as (_, first),
        receiving(two) as (_, second),
        sending(one, destinations=(f"127.0.0.1:{two}",)),
    ):
        wait_until(lambda: len(first.seen) >= 5 and len(second.seen) >= 5)
    assert {stamp for stamp, _, _ in first.seen[:5]} & {stamp for stamp, _, _ in second.seen}


def test_multicast() -> None:
    port = free_udp_port()
    with receiving(port, host="239.255.77.1") as (_, reader), sending(port, host="239.255.77.1", ttl=0) as feed:
        wait_until(lambda: len(reader.seen) >= 5 or feed.sender.stats().errors)
        if len(reader.seen) < 5:
            pytest.skip(f"no multicast route on this machine: {feed.sender.stats().errors}")


def test_the_sdp_file_alone_configures_a_receiver(tmp_path: Path) -> None:
    file = tmp_path / "stream.sdp"
    port = free_udp_port()
    with sending(port, codec="h264", payload_type=101, sdp_file=str(file), frame_id="far_optical_frame"):
        wait_until(lambda: "sprop-parameter-sets" in file.read_text())
        with receiving(1234, sdp_file=str(file)) as (_, reader):
            wait_until(lambda: reader.newest)
            assert reader.newest is not None
            assert reader.newest.frame_id == "far_optical_frame"


def test_a_second_sender_on_the_port_does_not_mix_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtp_session, "HANDOVER_NS", 3600 * 10**9)  # on a busy machine the first one may pause
    port = free_udp_port()
    with receiving(port) as (receiver, reader), sending(port) as feed:
        wait_until(lambda: len(reader.seen) >= 5)
        with sending(port, first=1000):
            wait_until(lambda: receiver.stats().errors.get("of a second sender", 0) > 10)
    assert {stamp for stamp, _, _ in reader.seen} <= set(feed.stamps)


def test_only_the_given_source_is_received() -> None:
    port = free_udp_port()
    with receiving(port, source_address="192.0.2.0/24") as (receiver, reader), sending(port):
        wait_until(lambda: receiver.stats().errors.get("from another address", 0) > 20)
    assert reader.seen == []


@pytest.mark.parametrize(("sent", "read", "name"), [("h264", "h265", "H.265"), ("h265", "h264", "H.264")])
def test_another_codec_is_reported_and_never_shown(sent: str, read: str, name: str) -> None:
    port = free_udp_port()
    with receiving(port, codec=read) as (receiver, reader), sending(port, codec=sent, mtu=200):
        pattern = rf"no {name} frame in \d+ packets: another codec, encrypted, or keyframes far apart\?"
        wait_until(lambda: re.fullmatch(pattern, receiver.stats().problem), what="the report about the codec")
        assert receiver.stats().state == "waiting"
    assert reader.seen == []


def test_another_payload_type_is_named() -> None:
    port = free_udp_port()
    with receiving(port) as (receiver, _), sending(port, payload_type=98):
        wait_until(lambda: receiver.stats().errors.get("payload type 98 instead of 96", 0) > 5)
        assert receiver.stats().problem == f"datagrams arrive on UDP port {port}, but none belongs to the stream"


def test_a_frame_that_is_too_small_is_refused() -> None:
    sender = Sender(SenderSettings(port=free_udp_port()))
    sender.start()
    with pytest.raises(ImageError, match="8x8 frame is too small"):
        sender.send(Frame.from_array(np.zeros((8, 8, 3), np.uint8), "bgr8"))
    sender.stop()
    sender.stop()


def test_coded_frames_are_passed_on_with_their_capture_time() -> None:
    sender = Sender(SenderSettings(port=free_udp_port(), frame_id="lens"))
    coded: list[tuple[list[bytes], int, str]] = []
    sender.on_coded = lambda *one: coded.append(one)
    sender.start()
    try:
        stamps = [FIRST_STAMP + index * 40_000_000 for index in range(3)]
        for index, stamp in enumerate(stamps):
            sender.send(Frame.from_array(pixels_of(index), "bgr8", stamp, ""))
            wait_until(lambda index=index: len(coded) == index + 1)
    finally:
        sender.stop()
    assert [stamp for _, stamp, _ in coded] == stamps
    first = [CODECS["h265"].kind(unit) for unit in coded[0][0]]
    assert first[:3] == list(CODECS["h265"].parameter_sets)
    assert CODECS["h265"].is_keyframe(first[-1])
