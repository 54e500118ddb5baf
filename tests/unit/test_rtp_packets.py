"""RTP and RTCP packets: fields to bytes and back, and every cut refused."""

from __future__ import annotations

import random

import pytest
from edgecam_core.rtp import packet, rtcp
from edgecam_core.rtp.packet import PacketError

EXTENSION = packet.extension_block({1: b"12345678", 3: b"x"})
PACKET = packet.build(96, True, 65_535, 0xFFFFFFFF, 0xCAFEBABE, b"payload", EXTENSION)


def test_built_packets_are_parsed() -> None:
    assert packet.parse(PACKET) == (96, True, 65_535, 0xFFFFFFFF, 0xCAFEBABE, b"payload", {1: b"12345678", 3: b"x"})


def test_the_header_is_that_of_rfc_3550() -> None:
    plain = packet.build(97, False, 1, 2, 3, b"")
    assert plain.hex() == "80610001" + "00000002" + "00000003"


def test_csrcs_padding_and_two_byte_extensions_are_understood() -> None:
    head = bytes.fromhex("b1e0 0001 00000002 00000003 0000000a 1000 0002 07 02 6162 00 09 00 00".replace(" ", ""))
    parsed = packet.parse(head + b"data" + b"\x00\x00\x03")
    assert parsed.payload == b"data"
    assert parsed.extensions == {7: b"ab", 9: b""}


@pytest.mark.parametrize("length", range(len(PACKET) - len(b"payload")))
def test_a_truncated_header_is_refused(length: int) -> None:
    with pytest.raises(PacketError):
        packet.parse(PACKET[:length])


def test_another_version_and_impossible_padding_are_refused() -> None:
    with pytest.raises(PacketError, match="version is 1"):
        packet.parse(b"\x40" + PACKET[1:])
    with pytest.raises(PacketError, match="padding"):
        packet.parse(bytes.fromhex("a0600001 00000002 00000003 ff"))
    with pytest.raises(PacketError, match="padding"):
        packet.parse(bytes.fromhex("a0600001 00000002 00000003 00"))


def test_rtcp_is_distinguished_from_rtp() -> None:
    assert packet.is_rtcp(rtcp.receiver_report(1))
    assert not packet.is_rtcp(PACKET)
    assert not packet.is_rtcp(b"")


def test_requests_survive_the_round_trip() -> None:
    lost = [65_534, 65_535, 0, 9, 16, 17, 400]
    compound = rtcp.receiver_report(7) + rtcp.nack(7, 9, lost) + rtcp.picture_loss_indication(7, 9)
    assert rtcp.parse(compound) == [rtcp.Nack(9, tuple(lost)), rtcp.KeyframeRequest(9)]


def test_a_sender_report_and_a_goodbye_survive_the_round_trip() -> None:
    compound = rtcp.sender_report(5, 1 << 40, 77, 3, 4) + rtcp.source_description(5, "a name") + rtcp.bye(5)
    assert rtcp.parse(compound) == [rtcp.SenderReport(5, 1 << 40, 77), rtcp.Bye((5,))]
    assert len(compound) % 4 == 0


def test_mutated_rtcp_never_does_more_than_raise_packet_error() -> None:
    chance = random.Random(4)
    whole = rtcp.sender_report(5, 6, 7, 8, 9) + rtcp.nack(1, 5, range(40)) + rtcp.bye(5)
    for _ in range(5000):
        data = bytearray(whole[: chance.randrange(len(whole) + 1)])
        for _ in range(chance.randrange(4)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            rtcp.parse(bytes(data))
        except PacketError:
            pass
