"""No input on a port ends either end of the link: it is counted, and the next valid stream is shown.

EDGECAM_FUZZ sets how many examples each entry gets.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable

import pytest
from edgecam_core.media.codecs import CODECS
from edgecam_core.rtp import packet, rtcp, srtp
from edgecam_core.rtp.packetiser import Packetiser
from edgecam_core.rtp.rtp_session import RtpSession
from edgecam_core.rtp.sender import Sender
from edgecam_core.rtp.settings import SenderSettings
from edgecam_core.rtp.unprotector import Unprotector
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from network import free_udp_port
from rtp_replay import Replay, clip
from rtp_scene import frame, receiving
from waiting import wait_until

EXAMPLES = int(os.environ.get("EDGECAM_FUZZ", "15")) * 10
fuzz = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
CAMERA = ("192.0.2.7", 4000)
SSRC = 0x1234
KEY = bytes(range(28))
WORD = st.integers(0, 0xFFFFFFFF)
SHORT = st.integers(0, 0xFFFF)
STREAM = "x264enc speed-preset=ultrafast tune=zerolatency key-int-max=10 option-string=scenecut=0"


@st.composite
def rtp_packets(draw: st.DrawFn) -> bytes:
    """A packet with the first byte of RTP: hostile numbers, extensions, padding and payloads of every kind."""
    extension = draw(st.one_of(st.just(b""), st.binary(max_size=40).map(_extension)))
    first = 0x80 | draw(st.integers(0, 0x3F)) if draw(st.booleans()) else 0x80 | (0x10 if extension else 0)
    ssrc = draw(st.one_of(st.just(SSRC), WORD))
    head = struct.pack(
        "!BBHII", first, draw(st.sampled_from([96, 96 | 0x80, 97, 0, 127])), draw(SHORT), draw(WORD), ssrc
    )
    kind = draw(
        st.sampled_from([b"", b"\x1c\x85", b"\x1c\x45", b"\x18\x00\x05", b"\x65", b"\x67", b"\x68", b"\x06\x06"])
    )
    return head + extension + kind + draw(st.binary(max_size=200))


def _extension(body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack("!HH", 0xBEDE, len(body) // 4) + body


@st.composite
def rtcp_packets(draw: st.DrawFn) -> bytes:
    """A compound packet with messages of every kind, some with wrong lengths and counts."""
    made = b""
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from([200, 201, 202, 203, 204, 205, 206, 207]))
        count = draw(st.sampled_from([0, 1, 2, 4, 11, 15, 31]))
        body = struct.pack("!II", draw(WORD), draw(st.one_of(st.just(SSRC), WORD))) + draw(st.binary(max_size=80))
        body += bytes(-len(body) % 4)
        words = len(body) // 4 if draw(st.booleans()) else draw(SHORT)
        made += struct.pack("!BBH", 0x80 | count, kind, words) + body
    return made


@st.composite
def parity_packets(draw: st.DrawFn) -> bytes:
    head = struct.pack(
        "!IHBB", draw(st.one_of(st.just(SSRC), WORD)), draw(SHORT), *draw(st.binary(min_size=2, max_size=2))
    )
    return packet.build(97, False, draw(SHORT), draw(WORD), draw(WORD), head + draw(st.binary(max_size=300)))


DATAGRAMS = st.one_of(st.binary(max_size=300), rtp_packets(), rtcp_packets(), parity_packets())


def good_stream() -> list[tuple[int, bytes]]:
    packetiser = Packetiser(CODECS["h264"], 96, 400)
    return [each for unit in clip(*STREAM.split(" ", 1), 12) for each in packetiser.packets(unit.nals, 10**18)]


@pytest.mark.parametrize("encrypted", [False, True])
@fuzz
@given(hostile=st.lists(DATAGRAMS, max_size=30))
def test_no_hostile_packet_ends_the_receiving_session(encrypted: bool, hostile: list[bytes]) -> None:
    unprotector = Unprotector("aes-128-gcm", KEY) if encrypted else None
    session = RtpSession(CODECS["h264"], 96, 50_000_000, redundancy=True, unprotector=unprotector)
    now = 0
    for number, data in enumerate(hostile):
        now += 10_000_000
        entry: list[Callable[[], object]] = [
            lambda data=data, now=now: session.datagram(data, CAMERA, now, 10**18 + now),
            lambda data=data, now=now: session.parity(data, CAMERA, now, 10**18 + now),
            lambda data=data: session.control(data, CAMERA),
        ]
        entry[number % 3]()
        session.tick(now)
    now += 10**9  # a stream of the hostile packets, if any, is over
    packets, shown = good_stream(), 0
    protector = srtp.Protector("aes-128-gcm", KEY, int.from_bytes(packets[0][1][8:12], "big")) if encrypted else None
    for _, data in packets:
        now += 1_000_000
        sent = data if protector is None else protector.rtp(data)
        shown += sum(unit.whole for unit in session.datagram(sent, CAMERA, now, 10**18 + now))
        shown += sum(unit.whole for unit in session.tick(now))
    assert shown >= 11


@fuzz
@given(hostile=st.lists(st.one_of(st.binary(max_size=300), rtcp_packets()), max_size=30))
def test_no_hostile_packet_breaks_the_feedback_of_an_adaptive_sender(hostile: list[bytes]) -> None:
    sender = Sender(SenderSettings(port=free_udp_port(), codec="h264", bitrate_min=100_000))
    feedback = sender._transmitter._feedback
    ours = struct.pack("!I", sender._transmitter.ssrc)
    for data in hostile:
        feedback.datagram(data.replace(struct.pack("!I", SSRC), ours), socket.AF_INET, ("127.0.0.1", 4000))
    assert 100_000 <= sender._adaptation.target(0.0) <= 2_000_000  # type: ignore[union-attr]
    assert sender.stats().errors.get("feedback that is not RTCP", 0) <= len(hostile)


@pytest.mark.parametrize("key", ["", "env:EDGECAM_FUZZ_KEY"])
def test_a_receiver_under_attack_shows_the_next_stream(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECAM_FUZZ_KEY", KEY.hex())
    port = free_udp_port()
    with receiving(port, codec="h264", redundancy=True, srtp_key=key) as (receiver, reader):
        with socket.socket(type=socket.SOCK_DGRAM) as out:

            @fuzz
            @given(data=DATAGRAMS, offset=st.integers(0, 2))
            def fire(data: bytes, offset: int) -> None:
                out.sendto(data, ("127.0.0.1", port + offset))

            fire()
        wait_until(lambda: sum(receiver.stats().errors.values()) > 0, what="the count")
        wait_until(lambda: receiver.stats().state == "silent", what="the end of the apparent stream")
        if key:
            sender = Sender(SenderSettings(port=port, codec="h264", srtp_key=key))
            sender.start()
            for number in range(60):
                sender.send(frame(number))
                if reader.seen:
                    break
                wait_until(lambda number=number: sender.stats().frames_sent > number)
            sender.stop()
        else:
            replay = Replay(port, "h264")
            for unit in clip(*STREAM.split(" ", 1), 40):
                replay.send(unit)
            replay.close()
        wait_until(lambda: len(reader.seen) > 0, what="the next good stream")


def test_a_sender_under_attack_continues() -> None:
    port = free_udp_port()
    sender = Sender(SenderSettings(port=port, codec="h264", bitrate_min=100_000))
    sender.start()
    try:
        sender.send(frame(0))
        wait_until(lambda: sender.stats().frames_sent == 1)
        target = ("127.0.0.1", sender._transmitter._destinations._sockets[socket.AF_INET].getsockname()[1])
        with socket.socket(type=socket.SOCK_DGRAM) as out:

            @fuzz
            @given(data=DATAGRAMS)
            def fire(data: bytes) -> None:
                out.sendto(data, target)

            fire()
            out.sendto(rtcp.picture_loss_indication(1, sender._transmitter.ssrc), target)
        wait_until(lambda: sender.stats().keyframe_requests > 0, what="a keyframe for the next valid request")
        sender.send(frame(1))
        wait_until(lambda: sender.stats().frames_sent == 2)
    finally:
        sender.stop()
