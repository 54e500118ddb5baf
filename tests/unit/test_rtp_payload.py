"""NAL units to RTP payloads and back, for both codecs, with units of the real encoders."""

from __future__ import annotations

import random

import pytest
from edgecam_core.media import nal
from edgecam_core.media.codecs import CODECS
from edgecam_core.rtp.packet import PacketError
from rtp_scene import coded_stream


@pytest.fixture(scope="module", params=["h265", "h264"])
def stream(request: pytest.FixtureRequest) -> tuple[str, list[list[bytes]]]:
    return request.param, [nals for nals, _ in coded_stream(12, request.param)]


def unpack(name: str, payloads: list[bytes]) -> list[bytes]:
    pieces: list[bytes] = []
    return [unit for payload in payloads for unit in CODECS[name].unpack(payload, pieces)]


@pytest.mark.parametrize("limit", [100, 333, 1372, 60_000])
def test_nal_units_survive_the_round_trip(stream: tuple[str, list[list[bytes]]], limit: int) -> None:
    name, units = stream
    for nals in units:
        payloads = CODECS[name].pack(nals, limit)
        assert max(map(len, payloads)) <= limit
        assert unpack(name, payloads) == nals


def test_keyframes_carry_their_parameter_sets_in_the_first_packet(stream: tuple[str, list[list[bytes]]]) -> None:
    name, units = stream
    codec = CODECS[name]
    kinds = [[codec.kind(unit) for unit in nals] for nals in units]
    keyframes = [index for index, each in enumerate(kinds) if any(map(codec.is_keyframe, each))]
    assert keyframes == [0, 10]
    for index in keyframes:
        first = codec.pack(units[index], 1372)[0]
        sets = [codec.kind(unit) for unit in unpack(name, [first])]
        assert [kind for kind in sets if kind in codec.parameter_sets] == list(codec.parameter_sets)
        assert codec.begins_unit(first)
    assert not codec.begins_unit(codec.pack(units[10], 300)[-1])


def test_parameter_sets_are_in_the_sdp(stream: tuple[str, list[list[bytes]]]) -> None:
    name, units = stream
    codec = CODECS[name]
    sets = [unit for unit in units[0] if codec.kind(unit) in codec.parameter_sets]
    assert codec.sprop_nals(codec.sprop_values(sets)) == sets


def test_a_missing_fragment_is_noticed(stream: tuple[str, list[list[bytes]]]) -> None:
    name, units = stream
    payloads = CODECS[name].pack([units[0][-1] * 4], 100)
    assert len(payloads) > 3
    with pytest.raises(PacketError):
        unpack(name, payloads[1:])
    with pytest.raises(PacketError):
        unpack(name, [payloads[0], *payloads[:2]])


def test_mutated_payloads_never_do_more_than_raise_packet_error(stream: tuple[str, list[list[bytes]]]) -> None:
    name, units = stream
    chance = random.Random(5)
    payloads = [payload for nals in units for payload in CODECS[name].pack(nals, 500)]
    pieces: list[bytes] = []
    for _ in range(20_000):
        data = bytearray(chance.choice(payloads)[: chance.randrange(1, 501)])
        data[chance.randrange(min(8, len(data)))] = chance.randrange(256)
        try:
            found = CODECS[name].unpack(bytes(data), pieces)
        except PacketError:
            continue
        assert all(found)


def test_byte_streams_are_split_at_start_codes_of_both_lengths() -> None:
    stream = b"\x00\x00\x00\x01abc\x00\x00\x01de\x00\x00\x00\x01f\x00\x00"
    assert nal.split(stream) == [b"abc", b"de", b"f"]
    assert nal.split(nal.join([b"abc", b"de"])) == [b"abc", b"de"]
    assert nal.split(b"nothing") == []
