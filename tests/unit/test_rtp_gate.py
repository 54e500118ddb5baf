"""Access units and the gate: what leaves is whole, and begins at a keyframe."""

from __future__ import annotations

import pytest
from edgecam_core.media.codecs import CODECS
from edgecam_core.media.h265 import CRA, PPS, RASL_N, SPS, VPS
from edgecam_core.rtp import packet
from edgecam_core.rtp.assembler import AccessUnit, Assembler, KeyframeGate
from edgecam_core.rtp.packetiser import Packetiser
from rtp_scene import coded_stream

CODEC = CODECS["h265"]
IDR, TRAIL = 20, 1
SETS = [bytes([kind << 1, 1, kind]) for kind in (VPS, SPS, PPS)]


def unit(*kinds: int, whole: bool = True, follows_gap: bool = False) -> AccessUnit:
    nals = [bytes([kind << 1, 1, kind]) for kind in kinds]
    keyframe = any(CODEC.is_keyframe(kind) for kind in kinds)
    return AccessUnit(nals, 0, None, 0, keyframe, whole, follows_gap)


KEY = unit(VPS, SPS, PPS, IDR)


def kinds(nals: list[bytes] | None) -> list[int] | None:
    return None if nals is None else [CODEC.kind(nal) for nal in nals]


def test_closed_until_a_keyframe_with_its_parameter_sets() -> None:
    gate = KeyframeGate(CODEC)
    assert gate.admit(unit(TRAIL)) is None
    assert gate.starving
    assert gate.admit(unit(IDR)) is None
    assert gate.admit(KEY) == KEY.nals
    assert gate.admit(unit(TRAIL)) is not None
    assert not gate.starving


@pytest.mark.parametrize("bad", [unit(TRAIL, whole=False), unit(TRAIL, follows_gap=True), unit(IDR, whole=False)])
def test_closed_from_the_first_loss_to_the_next_whole_keyframe(bad: AccessUnit) -> None:
    gate = KeyframeGate(CODEC)
    gate.admit(KEY)
    assert gate.admit(bad) is None
    assert gate.admit(unit(TRAIL)) is None
    assert gate.admit(unit(VPS, SPS, PPS, IDR, follows_gap=True)) is not None
    assert gate.refused == 2


def test_parameter_sets_that_came_by_a_timer_or_in_sdp_are_put_in_front() -> None:
    gate = KeyframeGate(CODEC)
    assert gate.admit(unit(VPS, SPS, PPS, TRAIL)) is None
    assert kinds(gate.admit(unit(IDR))) == [VPS, SPS, PPS, IDR]
    assert kinds(KeyframeGate(CODEC, SETS).admit(unit(IDR))) == [VPS, SPS, PPS, IDR]


def test_frames_that_refer_to_before_the_join_are_left_out() -> None:
    gate = KeyframeGate(CODEC, SETS)
    gate.admit(unit(CRA))
    assert gate.admit(unit(RASL_N)) is None
    assert gate.open
    assert gate.admit(unit(TRAIL)) is not None
    gate.admit(unit(CRA))
    assert gate.admit(unit(RASL_N)) is not None  # here what it refers to has been decoded


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


def test_without_loss_all_units_are_whole_and_carry_their_stamps(packets: list[list[packet.RtpPacket]]) -> None:
    units = assemble(packets, set())
    assert [each.whole for each in units] == [True] * 4
    assert [each.keyframe for each in units] == [True, False, False, True]
    assert [each.stamp_ns for each in units] == [stamp for _, stamp in coded_stream(4, "h265", 3)]


def test_every_single_lost_packet_is_noticed(packets: list[list[packet.RtpPacket]]) -> None:
    for number, group in enumerate(packets):
        for index in range(len(group)):
            gate = KeyframeGate(CODEC, SETS)
            units = assemble(packets, {(number, index)})
            shown = [each.timestamp for each in units if gate.admit(each) is not None]
            wanted = [
                packets[other][0].timestamp for other in range(4) if other < number or (number < 3 and other == 3)
            ]
            if number == 0:
                wanted = [packets[3][0].timestamp]
            assert shown == wanted, f"packet {index} of unit {number}"


def test_a_lost_marker_of_a_foreign_sender_costs_nothing(packets: list[list[packet.RtpPacket]]) -> None:
    bare = [[each._replace(marker=False) for each in group] for group in packets]
    assert [each.whole for each in assemble(bare, set())] == [True] * 3  # the fourth has no end yet


def test_a_unit_without_end_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecam_core.rtp.assembler.MAX_UNIT_BYTES", 10_000)
    assembler = Assembler(CODEC)
    for number in range(1000):
        start = 0x80 if number == 0 else 0
        assembler.push(packet.RtpPacket(96, False, number, 7, 1, bytes([49 << 1, 1, start | 1]) + bytes(500), {}), 0)
    assert sum(map(len, assembler._fragments)) < 11_000
