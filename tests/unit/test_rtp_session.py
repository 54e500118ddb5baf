"""Which datagrams on a port belong to the stream."""

from __future__ import annotations

import ipaddress

import pytest
from edgecam_core.media.codecs import CODECS
from edgecam_core.rtp import packet, rtcp
from edgecam_core.rtp.clock import ntp_from_ns
from edgecam_core.rtp.reorder import MILLISECOND
from edgecam_core.rtp.rtp_session import HANDOVER_NS, TAIL_NS, RtpSession
from edgecam_core.rtp.sender import Sender
from edgecam_core.rtp.settings import SenderSettings
from edgecam_core.rtp.stamps import Stamp
from network import free_udp_port
from rtp_scene import frame
from waiting import wait_until

CAMERA, OTHER = ("192.0.2.7", 4000), ("198.51.100.9", 4000)
WAIT = 50 * MILLISECOND
NAL = b"\x02\x01frame"


def session(**values: object) -> RtpSession:
    return RtpSession(CODECS["h265"], 96, WAIT, **values)


def send(to: RtpSession, sequence: int, now: int, ssrc: int = 1, marker: bool = True, **values: int) -> list[int]:
    """Receive one packet that is a frame; returns the RTP times of the units completed by it."""
    data = packet.build(values.get("payload_type", 96), marker, sequence, 3000 * sequence, ssrc, NAL)
    return [unit.timestamp // 3000 for unit in to.datagram(data, CAMERA, now, now) + to.tick(now)]


def test_a_stream_begins_with_two_packets_in_sequence_and_loses_neither() -> None:
    port = session()
    assert send(port, 5, 0) == []
    assert send(port, 6, 1) == [5, 6]
    assert port.streams == 1


def test_single_packets_of_many_senders_start_no_stream_and_are_forgotten() -> None:
    port = session()
    for ssrc in range(1000):
        assert send(port, 7 * ssrc, 0, ssrc=ssrc) == []
    assert port.stream is None
    assert len(port._candidates) <= 8


def test_another_sender_waits_until_the_first_is_silent() -> None:
    port = session()
    send(port, 1, 0)
    send(port, 2, 0)
    assert send(port, 1, 1, ssrc=2) == send(port, 2, 2, ssrc=2) == []
    assert port.counts["of a second sender"] == 2
    late = HANDOVER_NS + 1
    assert send(port, 3, late, ssrc=2) == []
    assert send(port, 4, late, ssrc=2) == [3, 4]
    assert port.streams == 2
    assert port.packets().received == 4


def test_a_goodbye_makes_room_at_once() -> None:
    port = session()
    send(port, 1, 0)
    send(port, 2, 0)
    port.control(rtcp.receiver_report(1) + rtcp.bye(1), CAMERA)
    send(port, 10, 2, ssrc=2)
    assert send(port, 11, 2, ssrc=2) == [10, 11]


def test_packets_read_after_the_goodbye_belong_to_the_stream_that_ended() -> None:
    port = session()
    send(port, 1, 0)
    send(port, 2, 0)
    port.control(rtcp.receiver_report(1) + rtcp.bye(1), CAMERA)
    for ssrc, sequences in ((1, (3, 4)), (2, (10, 11))):
        for sequence in sequences:
            port.datagram(packet.build(96, True, sequence, 3000 * sequence, ssrc, NAL), CAMERA, 1, 1)
    port.tick(1)
    assert (port.streams, port.packets().received) == (2, 6)
    assert port.stream is not None
    assert port.stream.ssrc == 2


def test_a_report_that_came_before_the_stream_counts() -> None:
    port = session()
    port.control(rtcp.sender_report(1, ntp_from_ns(10**18), 3000, 0, 0), CAMERA)
    send(port, 1, 0)
    send(port, 2, 0)
    assert port.stamps.stamp(None, 3000 + 90_000, 10**18) == Stamp(10**18 + 10**9, "rtcp")


@pytest.mark.parametrize(("network", "welcome"), [("192.0.2.0/24", True), ("198.51.100.0/24", False), ("::/0", False)])
def test_the_source_address(network: str, welcome: bool) -> None:
    port = session(source=ipaddress.ip_network(network))
    send(port, 1, 0)
    assert bool(send(port, 2, 0)) == welcome
    assert bool(port.counts["from another address"]) != welcome


def test_goodbyes_and_parity_from_another_address_are_ignored() -> None:
    port = session(source=ipaddress.ip_network("192.0.2.7/32"), redundancy=True)
    send(port, 1, 0)
    send(port, 2, 0)
    port.control(rtcp.receiver_report(1) + rtcp.bye(1), OTHER)
    port.parity(b"rubbish", OTHER, 1, 1)
    port.tick(1)
    assert port.stream is not None
    assert port.counts == {"from another address": 2}
    port.control(rtcp.receiver_report(1) + rtcp.bye(1), CAMERA)
    port.tick(1)
    assert port.stream is None


def test_an_ipv4_sender_on_an_ipv6_socket_is_the_same_sender() -> None:
    port = session(source=ipaddress.ip_network("192.0.2.7/32"))
    data = packet.build(96, True, 1, 0, 1, NAL)
    port.datagram(data, ("::ffff:192.0.2.7", 4000), 0, 0)
    assert port.counts["from another address"] == 0
    port.datagram(data, OTHER, 0, 0)
    assert port.counts["from another address"] == 1


def test_packets_that_are_not_of_the_stream_are_named() -> None:
    port = session()
    send(port, 1, 0, payload_type=97)
    port.datagram(b"rubbish", CAMERA, 0, 0)
    port.datagram(b"\x80\xc8\xff\xff", CAMERA, 0, 0)
    assert port.counts == {"payload type 97 instead of 96": 1, "not RTP": 1, "not RTCP": 1}


def test_gaps_and_a_missing_tail_wake_in_time() -> None:
    port = session()
    send(port, 1, 0)
    send(port, 2, 0)
    assert port.wake_ns() is None
    send(port, 4, 10)
    assert port.wake_ns() == 10 + WAIT
    port = session()
    send(port, 1, 0)
    send(port, 2, 0, marker=False)
    assert port.wake_ns() == TAIL_NS
    port.tick(TAIL_NS)
    assert port.stream is not None
    assert port.stream.buffer.due_requests(TAIL_NS + 2 * MILLISECOND) == [3]


def test_an_unreachable_destination_is_counted_and_the_others_continue() -> None:
    port = free_udp_port()
    sender = Sender(SenderSettings(host="255.255.255.255", port=port))  # broadcast is not allowed to plain sockets
    sender.start()
    for index in range(3):
        sender.send(frame(index))
        wait_until(lambda index=index: sender.stats().frames_sent > index)
    errors = sender.stats().errors
    sender.stop()
    assert any("255.255.255.255" in what for what in errors)
