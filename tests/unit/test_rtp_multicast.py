"""Multicast: the group of a session description, the interface, one source only, and IPv6 scopes."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from edgecam_core.errors import SettingError
from edgecam_core.rtp import sdp, sockets
from edgecam_core.rtp.receiver import Receiver
from edgecam_core.rtp.reception import Reception
from edgecam_core.rtp.sender import Sender
from edgecam_core.rtp.settings import ReceiverSettings, SenderSettings
from network import free_udp_port
from rtp_scene import receiving, sending
from waiting import wait_until

GROUP = "239.72.7.2"


def description(folder: Path, port: int, address: str = GROUP, extra: str = "") -> Path:
    path = folder / "group.sdp"
    made = sdp.write(sdp.SessionDescription(address, port, 96, "h265"))
    path.write_text(made + (f"{extra}\r\n" if extra else ""))
    return path


def test_the_group_of_a_session_description_is_joined(tmp_path: Path) -> None:
    port = free_udp_port()
    with (
        receiving(port, sdp_file=str(description(tmp_path, port)), interface="lo") as (_, reader),
        sending(port, host=GROUP, interface="lo"),
    ):
        wait_until(lambda: len(reader.seen) >= 5, what="frames sent to the group")


def test_a_description_of_one_address_leaves_the_host_unchanged(tmp_path: Path) -> None:
    path = description(tmp_path, 5000, "192.0.2.7")
    assert Reception.of(ReceiverSettings(sdp_file=str(path))).settings.host == "0.0.0.0"


@pytest.mark.parametrize("address", [GROUP + "/1", "224.2.1.1/127/3", "ff15::abc"])
def test_groups_with_ttl_and_count_are_parsed(tmp_path: Path, address: str) -> None:
    path = tmp_path / "group.sdp"
    family = "IP6" if ":" in address else "IP4"
    path.write_text(f"v=0\nc=IN {family} {address}\nm=video 5000 RTP/AVP 96\na=rtpmap:96 H265/90000\n")
    assert Reception.of(ReceiverSettings(sdp_file=str(path))).settings.host == address.split("/")[0]


@pytest.mark.parametrize(("source", "heard"), [("127.0.0.1", True), ("127.0.0.77", False)])
def test_a_source_filter_admits_its_source_only(tmp_path: Path, source: str, heard: bool) -> None:
    port = free_udp_port()
    path = description(tmp_path, port, GROUP, f"a=source-filter: incl IN IP4 * {source}")
    reception = Reception.of(ReceiverSettings(sdp_file=str(path), interface="lo"))
    assert reception.group_source == source
    with sockets.receiver(GROUP, port, "lo", source) as into, socket.socket(type=socket.SOCK_DGRAM) as out:
        out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        out.bind(("127.0.0.1", 0))
        try:
            out.sendto(b"x", (GROUP, port))
        except OSError as error:
            pytest.skip(f"no multicast route on this machine: {error}")
        into.settimeout(5.0 if heard else 0.2)
        if heard:
            assert into.recv(10) == b"x"
        else:
            with pytest.raises(TimeoutError):
                into.recv(10)


@pytest.mark.parametrize(
    ("host", "source", "expected"),
    [("232.1.1.1", "192.0.2.7", "192.0.2.7"), ("239.1.1.1", "192.0.2.7", ""), ("232.1.1.1", "192.0.2.0/24", ""),
     ("ff3e::1", "2001:db8::7", "2001:db8::7"), ("0.0.0.0", "192.0.2.7", "")],
)  # fmt: skip
def test_source_address_selects_the_source_of_a_source_specific_group(host: str, source: str, expected: str) -> None:
    assert ReceiverSettings(host=host, source_address=source).group_source() == expected


def test_an_ipv6_scope_is_kept() -> None:
    port = free_udp_port()
    group = "ff12::77%lo"
    family, address = sockets.resolve("host", group, port)
    assert sockets.native(family, address) == ("ff12::77", port, 0, socket.if_nametoindex("lo"))
    with sockets.receiver(group, port) as into, sockets.sender(family, 1, 0) as out:
        into.settimeout(5.0)
        try:
            out.sendto(b"x", sockets.native(family, address))
        except OSError as error:
            pytest.skip(f"no IPv6 multicast on this machine: {error}")
        assert into.recv(10) == b"x"


def test_the_error_for_a_missing_interface_lists_the_existing_ones() -> None:
    receiver = Receiver(ReceiverSettings(port=free_udp_port(), host=GROUP, interface="eth77"))
    with pytest.raises(SettingError, match=r"'interface' is 'eth77': .* it has .*lo"):
        receiver.start()
    sender = Sender(SenderSettings(host=GROUP, interface="eth77"))
    with pytest.raises(SettingError, match="'interface' is 'eth77'"):
        sender.start()
