"""Parity packets: any k of k + r packets restore the block."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from edgecam_core.rtp import gf256, packet
from edgecam_core.rtp.packet import PacketError
from edgecam_core.rtp.parity import MAX_DATA, ParityMaker, ParityRepair

SSRC = 0xFEED


def media(count: int, first: int = 65_530, seed: int = 1) -> list[tuple[int, bytes]]:
    chance = random.Random(seed)
    numbers = [(first + at) & 0xFFFF for at in range(count)]
    return [(n, packet.build(96, False, n, 5, SSRC, chance.randbytes(chance.randrange(1, 1300)))) for n in numbers]


def test_the_finite_field_obeys_the_field_axioms() -> None:
    a, b, c = (np.random.default_rng(2).integers(0, 256, 50) for _ in range(3))
    p = gf256.PRODUCT
    assert np.array_equal(p[a, b ^ c], p[a, b] ^ p[a, c])
    assert np.array_equal(p[p[a, b], c], p[a, p[b, c]])
    assert all(p[x, gf256.INVERSE[x]] == 1 for x in range(1, 256))
    assert p[2, 0x80] == 0x1D


def test_every_part_of_the_matrix_can_be_inverted() -> None:
    for rows, columns in itertools.product(itertools.combinations(range(5), 3), itertools.combinations(range(7), 3)):
        part = gf256.cauchy(list(rows), list(columns))
        assert np.array_equal(gf256.combine(gf256.invert(part), part), np.eye(3, dtype=np.uint8))


@pytest.mark.parametrize(("count", "share"), [(1, 0.5), (6, 0.5), (40, 0.25), (MAX_DATA, 1.0)])
def test_as_many_lost_packets_as_parities_come_back(count: int, share: float) -> None:
    chance = random.Random(count)
    for trial in range(5):
        block = media(count, seed=trial)
        maker = ParityMaker(SSRC, 97, share)
        parities = maker.add(block, 5) + maker.add([], 5)
        lost = set(chance.sample(range(count), min(count, len(parities))))
        repair = ParityRepair(SSRC)
        for at, (sequence, data) in enumerate(block):
            if at not in lost:
                assert repair.media(sequence, data) == []
        chance.shuffle(parities)
        found = [data for each in parities for data in repair.parity(each)]
        assert sorted(found) == sorted(data for at, (_, data) in enumerate(block) if at in lost)


def test_one_more_lost_packet_is_not_repaired_until_it_arrives_late() -> None:
    block = media(10)
    maker = ParityMaker(SSRC, 97, 0.2)
    parities = maker.add(block, 5) + maker.add([], 5)
    assert len(parities) == 2
    repair = ParityRepair(SSRC)
    for sequence, data in block[3:]:
        repair.media(sequence, data)
    assert [repair.parity(each) for each in parities] == [[], []]
    assert sorted(repair.media(*block[1])) == sorted([block[0][1], block[2][1]])


def test_blocks_take_two_frames_or_one_large_one() -> None:
    maker = ParityMaker(SSRC, 97, 0.5)
    assert maker.add(media(4), 5) == []
    assert len(maker.add(media(4), 6)) == 4
    assert len(maker.add(media(40), 7)) == 20
    assert len(maker.add(media(300), 8)) == 64 + 64 + 22


def test_garbage_is_refused_and_never_grows() -> None:
    chance = random.Random(9)
    repair = ParityRepair(SSRC)
    maker = ParityMaker(SSRC, 97, 0.5)
    good = maker.add(media(30), 5)
    for number in range(5000):
        data = bytearray(chance.choice(good))
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data)) if chance.random() < 0.3 else chance.randrange(24)] = chance.randrange(256)
        try:
            repair.parity(bytes(data[: chance.randrange(len(data) + 1)]) if number % 3 == 0 else bytes(data))
        except PacketError:
            pass
        repair.media(number & 0xFFFF, b"x" * 20)
    assert len(repair._blocks) <= 16
    assert len(repair._media) <= 1024
    with pytest.raises(PacketError):
        repair.parity(b"")
    with pytest.raises(PacketError, match="another stream"):
        ParityRepair(1).parity(good[0])


def test_blocks_that_cannot_be_repaired_expire() -> None:
    repair = ParityRepair(SSRC)
    maker = ParityMaker(SSRC, 97, 0.1)
    for turn in range(20):
        block = media(20, first=20 * turn)
        for sequence, data in block[:10]:
            repair.media(sequence, data)
        for data in maker.add(block, 5) + maker.add([], 5):
            repair.parity(data)
    for sequence, data in media(600, first=400):
        repair.media(sequence, data)
    assert len(repair._blocks) == 0
    assert repair.expired > 0


def test_a_forged_length_loses_no_block() -> None:
    block = media(10)
    maker = ParityMaker(SSRC, 97, 0.2)
    parities = maker.add(block, 5) + maker.add([], 5)
    repair = ParityRepair(SSRC)
    for sequence, data in block[:8]:
        repair.media(sequence, data)
    repair.parity(parities[0] + b"more")
    found = [data for each in parities for data in repair.parity(each)]
    assert sorted(found) == sorted(data for _, data in block[8:])
