"""The packets that the RTP sockets send, and their errors."""

from __future__ import annotations

import ctypes
import socket
import threading

import pytest
from edgecam_core.counters import Counters
from edgecam_core.errors import SettingError
from edgecam_core.rtp import sockets
from edgecam_core.rtp.receiver_sockets import ReceiverSockets
from edgecam_core.rtp.sender import Sender
from edgecam_core.rtp.settings import SenderSettings
from network import free_udp_port
from rtp_scene import frame
from waiting import wait_until

IP_RECVTTL = 12  # Linux; Python has no name for it
CLONE_NEWNET = 0x40000000
AF41 = 34


def send_frames(**values: object) -> Sender:
    sender = Sender(SenderSettings(**values))
    sender.start()
    sender.send(frame(0))
    return sender


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_packets_carry_the_code_point(family: socket.AddressFamily, address: str) -> None:
    v6 = family == socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as receiver:
        receiver.bind((address, 0))
        receiver.settimeout(10.0)
        option = (socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS) if v6 else (socket.IPPROTO_IP, socket.IP_RECVTOS)
        receiver.setsockopt(*option, 1)
        sender = send_frames(host=address, port=receiver.getsockname()[1], dscp=AF41)
        _, ancillary, _, _ = receiver.recvmsg(2000, 100)
        sender.stop()
    assert [data[0] >> 2 for _, _, data in ancillary] == [AF41]


def test_multicast_packets_carry_the_time_to_live() -> None:
    port, group = free_udp_port(), "239.255.77.2"
    with sockets.receiver(group, port) as receiver:
        receiver.settimeout(10.0)
        receiver.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        sender = send_frames(host=group, port=port, ttl=7)
        try:
            wait_until(lambda: sender.stats().frames_sent)
            if errors := sender.stats().errors:
                pytest.skip(f"no multicast route on this machine: {errors}")
            _, ancillary, _, _ = receiver.recvmsg(2000, 100)
        finally:
            sender.stop()
    assert [int.from_bytes(data, "little") for _, kind, data in ancillary if kind == socket.IP_TTL] == [7]


def test_a_host_without_a_route_is_named_and_the_sender_continues() -> None:
    made: list[Sender] = []

    def without_network() -> None:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) == 0:  # for this thread only
            made.append(send_frames(host="192.0.2.1", port=5000))

    thread = threading.Thread(target=without_network)
    thread.start()
    thread.join()
    if not made:
        pytest.skip("a namespace without a network needs root")
    try:
        wait_until(lambda: made[0].stats().errors.get("Network is unreachable (192.0.2.1)"), what="the error")
        made[0].send(frame(1))
        wait_until(lambda: made[0].stats().frames_sent == 2, what="the sender to continue")
    finally:
        made[0].stop()


def test_an_address_that_is_not_ours_and_a_port_in_use_are_named() -> None:
    with pytest.raises(SettingError, match=r"parameter 'host' is '192\.0\.2\.1': is not an address of this machine"):
        sockets.receiver("192.0.2.1", free_udp_port())
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", 0))
        port = other.getsockname()[1]
        with pytest.raises(SettingError, match=f"parameter 'port' is {port}: is in use by another program"):
            sockets.receiver("0.0.0.0", port)
    with pytest.raises(SettingError, match=r"parameter 'host' is 'no\.such\.host\.invalid': cannot be resolved"):
        Sender(SenderSettings(host="no.such.host.invalid"))


def test_media_are_read_with_every_rtcp_packet_for_they_may_be_older_than_its_goodbye() -> None:
    port, counters = free_udp_port(), Counters()
    own = ReceiverSockets(lambda offset: sockets.receiver("127.0.0.1", port + offset), parity=False, counters=counters)
    try:
        with socket.socket(type=socket.SOCK_DGRAM) as out:
            out.sendto(b"goodbye", ("127.0.0.1", port + 1))
        assert own.ready(10.0) == ["control", "media"]
    finally:
        own.close()
