"""Access units: complete, or marked as incomplete."""

from __future__ import annotations

import pytest
from edgecam_core.media.codecs import CODECS
from edgecam_core.media.keyframe_gate import KeyframeGate
from edgecam_core.rtp import packet
from edgecam_core.rtp.assembler import AccessUnit, Assembler
from edgecam_core.rtp.packetiser import Packetiser
from rtp_scene import coded_stream

CODEC = CODECS["h265"]


@pytest.fixture(scope="module")
def packets() -> list[list[packet.RtpPacket]]:
    packetiser = Packetiser(CODEC, 96, 400)
    return [[packet.parse(data) for _, data in packetiser.packets(*each)] for each in coded_stream(4, "h265", 3)]


def assemble(packets: list[list[packet.RtpPacket]], lost: set[tuple[int, int]]) -> list[AccessUnit]:
    """All units when the packets (unit, index) are lost."""
    assembler = Assembler(CODEC)
    units: list[AccessUnit] = []
    for number, group in enumerate(packets):
        for index, each in enumerate(group):
            if (number, index) in lost:
                assembler.gap()
            else:
                units += assembler.push(each, 0)
    return units


def test_without_loss_all_units_are_complete_and_have_their_stamps(packets: list[list[packet.RtpPacket]]) -> None:
    units = assemble(packets, set())
    assert [each.whole for each in units] == [True] * 4
    assert [each.random_access for each in units] == [True, False, False, True]
    assert [each.stamp_ns for each in units] == [stamp for _, stamp in coded_stream(4, "h265", 3)]


def test_every_single_lost_packet_is_noticed(packets: list[list[packet.RtpPacket]]) -> None:
    sets = coded_stream(4, "h265", 3)[0][0]
    for number, group in enumerate(packets):
        for index in range(len(group)):
            gate = KeyframeGate(CODEC, sets)
            units = assemble(packets, {(number, index)})
            shown = [each.timestamp for each in units if admitted(gate, each)]
            expected = [other for other in range(4) if other < number or (number < 3 and other == 3)]
            if number == 0:
                expected = [3]
            assert shown == [packets[other][0].timestamp for other in expected], f"packet {index} of unit {number}"


def admitted(gate: KeyframeGate, unit: AccessUnit) -> bool:
    return gate.admit(unit.nals, unit.timestamp, unit.whole, unit.follows_gap) is not None


def test_a_lost_marker_of_a_foreign_sender_loses_no_frame(packets: list[list[packet.RtpPacket]]) -> None:
    bare = [[each._replace(marker=False) for each in group] for group in packets]
    assert [each.whole for each in assemble(bare, set())] == [True] * 3  # the fourth one has no end yet


def test_a_unit_without_end_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecam_core.rtp.assembler.MAX_UNIT_BYTES", 10_000)
    assembler = Assembler(CODEC)
    for number in range(1000):
        start = 0x80 if number == 0 else 0
        assembler.push(packet.RtpPacket(96, False, number, 7, 1, bytes([49 << 1, 1, start | 1]) + bytes(500), {}), 0)
    assert sum(map(len, assembler._fragments)) < 11_000
