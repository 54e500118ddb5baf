"""Encrypted streams: no frames without the key, a clear error with a wrong one, foreign SRTP at either end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from pathlib import Path

import pytest
from edgecam_core.errors import SettingError
from edgecam_core.media.codecs import CODECS
from edgecam_core.rtp import packet, rtcp, srtp
from edgecam_core.rtp.parity import ParityMaker
from edgecam_core.rtp.rtp_session import RtpSession
from edgecam_core.rtp.unprotector import SILENT_SECONDS, TRIALS_PER_SECOND, Unprotector
from network import free_udp_port
from rtp_scene import receiving, sending
from waiting import wait_until

GCM, ICM = "aes-128-gcm", "aes-128-icm"


@pytest.fixture(params=[GCM, ICM])
def cipher(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def key_file(folder: Path, cipher: str, name: str = "key") -> Path:
    path = folder / name
    path.write_text(os.urandom(srtp.CIPHERS[cipher].key_size).hex() + "\n")
    return path


def test_protected_packets_are_restored_and_grow_by_the_trailer(cipher: str) -> None:
    key = os.urandom(srtp.CIPHERS[cipher].key_size)
    sender, receiver = srtp.Protector(cipher, key, 77), Unprotector(cipher, key)
    data = packet.build(96, True, 5, 6, 77, b"secret" * 100)
    protected = sender.rtp(data)
    assert b"secret" not in protected
    assert len(protected) == len(data) + srtp.CIPHERS[cipher].trailer
    assert receiver.rtp(protected) == (data, "")
    assert receiver.rtp(protected) == (None, "")  # a repetition is dropped silently
    report = rtcp.sender_report(77, 1, 2, 3, 4)
    assert receiver.rtcp(sender.rtcp(report)) == report


def test_a_receiver_that_joins_after_the_sequence_number_wrapped(cipher: str) -> None:
    key = os.urandom(srtp.CIPHERS[cipher].key_size)
    sender, late = srtp.Protector(cipher, key, 77), Unprotector(cipher, key)
    for number in range(65_000, 65_536 + 65_536 + 100):
        data = packet.build(96, True, number & 0xFFFF, 6, 77, b"x")
        protected = sender.rtp(data)
    assert late.rtp(protected) == (data, "")


class Clock:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class SrtpStream:
    """Protected packets of one sender from any position in its sequence."""

    def __init__(self, cipher: str, key: bytes, ssrc: int = 77) -> None:
        self._session = srtp.SrtpSession(cipher, key, ssrc)
        self._ssrc = ssrc

    def at(self, number: int) -> tuple[bytes, bytes]:
        """The packet of this number, which counts across wraps: clear and protected. Numbers must increase."""
        clear = packet.build(96, True, number & 0xFFFF, 6, self._ssrc, b"x")
        if number >> 16:
            self._session.set_rollover(number >> 16)
        status, protected = self._session.call("srtp_protect", clear)
        assert status == 0
        return clear, protected


def follow(receiver: Unprotector, stream: SrtpStream, first: int, clock: Clock, most: int = 1000) -> int:
    """The number of packets, at 200 per second, until one is decrypted."""
    for count in range(most):
        clear, protected = stream.at(first + count)
        if receiver.rtp(protected)[0] == clear:
            return count
        clock.now += 1 / 200
    raise AssertionError(f"none of {most} packets could be decrypted")


@pytest.mark.parametrize("missed", [40_000, 65_536 * 3, 65_536 * 50 + 17])
def test_decryption_resumes_after_an_outage_of_any_length(cipher: str, missed: int) -> None:
    key, clock = os.urandom(srtp.CIPHERS[cipher].key_size), Clock()
    stream, receiver = SrtpStream(cipher, key), Unprotector(cipher, key, clock)
    assert follow(receiver, stream, 60_000, clock) == 0
    follow(receiver, stream, 60_001 + missed, clock)
    assert follow(receiver, stream, 62_000 + missed, clock) == 0


def test_a_receiver_that_joins_after_a_week(cipher: str) -> None:
    key, clock = os.urandom(srtp.CIPHERS[cipher].key_size), Clock()
    follow(Unprotector(cipher, key, clock), SrtpStream(cipher, key), 65_536 * 400 + 5, clock)


def test_a_session_that_began_with_rtcp_knows_no_rollover_count(cipher: str) -> None:
    key = os.urandom(srtp.CIPHERS[cipher].key_size)
    sender, receiver = srtp.Protector(cipher, key, 77), Unprotector(cipher, key)
    assert receiver.rtcp(sender.rtcp(rtcp.sender_report(77, 1, 2, 3, 4))) is not None
    clear, protected = SrtpStream(cipher, key).at(65_536 * 2 + 40_000)
    assert receiver.rtp(protected) == (clear, "")


def test_stray_packets_are_cheap_and_do_not_disturb_a_stream(cipher: str) -> None:
    key, clock, chance = os.urandom(srtp.CIPHERS[cipher].key_size), Clock(), random.Random(4)
    stream, receiver = SrtpStream(cipher, key), Unprotector(cipher, key, clock)
    made = []
    original = srtp.SrtpSession.call

    def counted(session: srtp.SrtpSession, function: str, data: bytes) -> tuple[int, bytes]:
        made.append(function)
        return original(session, function, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(srtp.SrtpSession, "call", counted)
        for _ in range(20_000):  # in one second
            stray = packet.build(96, True, chance.randrange(65_536), 6, chance.randrange(1 << 32), chance.randbytes(50))
            assert receiver.rtp(stray)[0] is None
            assert receiver.rtcp(b"\x80\xc9\0\1" + chance.randbytes(30)) is None
            clock.now += 1 / 20_000
        assert len(made) <= 2 * TRIALS_PER_SECOND
        # The same flood during the search for a stream's rollover counter.
        for count in range(400):
            clear, protected = stream.at(65_536 * 20 + count)
            if receiver.rtp(protected)[0] == clear:
                break
            for _ in range(100):
                receiver.rtp(packet.build(96, True, 1, 6, chance.randrange(1 << 32), chance.randbytes(50)))
            clock.now += 1 / 200
        else:
            pytest.fail("the stream could not be decrypted")


def test_replayed_packets_are_refused_while_the_stream_lives(cipher: str) -> None:
    key, clock = os.urandom(srtp.CIPHERS[cipher].key_size), Clock()
    old, stream, receiver = SrtpStream(cipher, key), SrtpStream(cipher, key), Unprotector(cipher, key, clock)
    _, recorded = old.at(65_536 * 2 + 7)
    assert follow(receiver, stream, 65_536 * 5, clock) == 0
    for _ in range(200):
        assert receiver.rtp(recorded)[0] is None
        clock.now += 0.01
    assert follow(receiver, stream, 65_536 * 5 + 1, clock) == 0


def test_a_sender_that_restarts_with_its_old_ssrc_is_followed(cipher: str) -> None:
    key, clock = os.urandom(srtp.CIPHERS[cipher].key_size), Clock()
    receiver = Unprotector(cipher, key, clock)
    follow(receiver, SrtpStream(cipher, key), 65_536 * 5, clock)
    clock.now += SILENT_SECONDS + 1
    assert follow(receiver, SrtpStream(cipher, key), 9, clock) == 0


def test_parity_is_authenticated(cipher: str) -> None:
    key = os.urandom(srtp.CIPHERS[cipher].key_size)
    session = RtpSession(CODECS["h265"], 96, 0, redundancy=True, unprotector=Unprotector(cipher, key))
    stream = SrtpStream(cipher, key)
    for number in (5, 6):
        session.datagram(stream.at(number)[1], ("192.0.2.7", 4000), 0, 0)
    maker = ParityMaker(77, 97, 1.0)
    (parity,) = maker.add([(7, stream.at(7)[1])], 6) + maker.add([], 6)
    assert session.stream is not None
    assert session.parity(parity, ("192.0.2.7", 4000), 0, 0) == []
    assert session.counts["SRTP authentication failed"] == 1
    session.parity(srtp.Protector(cipher, key, maker.ssrc).rtp(parity), ("192.0.2.7", 4000), 0, 0)
    assert session.packets().received == 3


def test_a_wrong_key_and_a_changed_packet_are_refused(cipher: str) -> None:
    size = srtp.CIPHERS[cipher].key_size
    sender = srtp.Protector(cipher, bytes(size), 77)
    protected = sender.rtp(packet.build(96, True, 5, 6, 77, b"secret"))
    assert Unprotector(cipher, b"1" * size).rtp(protected)[0] is None
    assert Unprotector(cipher, b"1" * size).rtcp(sender.rtcp(rtcp.bye(77))) is None
    assert Unprotector(cipher, bytes(size)).rtp(protected[:-1] + b"!")[0] is None
    assert Unprotector(cipher, bytes(size)).rtp(b"short")[0] is None


def test_the_key_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = key_file(tmp_path, GCM)
    key = bytes.fromhex(path.read_text())
    assert srtp.read_key(str(path), GCM) == key
    monkeypatch.setenv("EDGECAM_TEST_KEY", path.read_text())
    assert srtp.read_key("env:EDGECAM_TEST_KEY", GCM) == key
    with pytest.raises(SettingError, match="environment variable that is not set"):
        srtp.read_key("env:EDGECAM_NO_SUCH_KEY", GCM)
    with pytest.raises(SettingError, match=r"28 bytes long; aes-128-icm needs 30 bytes: `openssl rand -hex 30`"):
        srtp.read_key(str(path), ICM)
    with pytest.raises(SettingError, match="cannot be read"):
        srtp.read_key(str(tmp_path / "missing"), GCM)


def test_a_key_given_as_the_parameter_itself_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingError, match=r"'\*\*\*': must be the path of a key file") as error:
        srtp.read_key("00112233445566778899", GCM)
    assert "0011" not in str(error.value)


def test_frames_through_an_encrypted_link(cipher: str, tmp_path: Path) -> None:
    port, sdp = free_udp_port(), tmp_path / "stream.sdp"
    values = {"srtp_key": str(key_file(tmp_path, cipher)), "srtp_cipher": cipher}
    with receiving(port, **values) as (receiver, reader):
        with sending(port, sdp_file=str(sdp), keyframe_interval=3000, **values) as feed:
            wait_until(lambda: len(reader.seen) >= 20)
            assert "RTP/SAVP 96" in sdp.read_text()
            assert Path(values["srtp_key"]).read_text().strip() not in sdp.read_text()
        assert receiver.stats().errors.get("SRTP authentication failed", 0) == 0
    for stamp, index, _ in reader.seen:
        assert feed.stamps[stamp] % 256 == index


def test_a_late_receiver_of_an_encrypted_stream_gets_its_keyframe(tmp_path: Path) -> None:
    port = free_udp_port()
    values = {"srtp_key": str(key_file(tmp_path, GCM))}
    with sending(port, keyframe_interval=3000, **values) as feed:
        wait_until(lambda: len(feed.stamps) > 10)
        with receiving(port, **values) as (_, reader):
            wait_until(lambda: len(reader.seen) >= 5, what="frames: the request for a keyframe is encrypted too")


def test_without_the_key_nothing_is_shown_and_a_wrong_one_is_reported(tmp_path: Path) -> None:
    port = free_udp_port()
    with sending(port, rate=90, mtu=200, srtp_key=str(key_file(tmp_path, GCM))):
        with receiving(port) as (receiver, reader):
            wait_until(lambda: "another codec, encrypted" in receiver.stats().problem, what="the guess")
            assert reader.seen == []
        with receiving(port, srtp_key=str(key_file(tmp_path, GCM, "other"))) as (receiver, reader):
            wait_until(lambda: receiver.stats().errors.get("SRTP authentication failed", 0) > 30)
            assert reader.seen == []
            assert receiver.stats().packets == 0


def test_parity_and_encryption_together(tmp_path: Path) -> None:
    from edgecam_core.rtp.relay import Conditions, Relay

    port = free_udp_port()
    values = {"srtp_key": str(key_file(tmp_path, GCM))}
    with (
        receiving(port, latency=400, feedback=False, redundancy=True, **values) as (receiver, reader),
        Relay(("127.0.0.1", port), conditions=Conditions(loss=0.05)) as relay,
        sending(relay.port, mtu=250, redundancy=50, **values),
    ):
        wait_until(lambda: len(reader.seen) >= 60 and receiver.stats().recovered > 3)


@pytest.mark.parametrize("ours_sends", [True, False])
def test_gstreamers_srtp_interoperates_with_ours(ours_sends: bool, tmp_path: Path) -> None:
    port = free_udp_port()
    path = key_file(tmp_path, ICM)
    key = path.read_text().strip()
    values = {"srtp_key": str(path), "srtp_cipher": ICM}
    kinds = "srtp-cipher=aes-128-icm,srtp-auth=hmac-sha1-80,srtcp-cipher=aes-128-icm,srtcp-auth=hmac-sha1-80"
    if not ours_sends:
        text = (
            "videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! "
            "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph265pay config-interval=1 ! "
            f"srtpenc key={key} rtp-cipher=aes-128-icm rtp-auth=hmac-sha1-80 ! "
            f"udpsink host=127.0.0.1 port={port} sync=false"
        )
        with receiving(port, **values) as (receiver, reader), gst_launch(text):
            wait_until(lambda: len(reader.seen) >= 10)
            assert receiver.stats().stamp_source == "arrival"
        return
    with sending(port, keyframe_interval=15, **values) as feed:
        ssrc = feed.sender._transmitter.ssrc
        caps = (
            f"application/x-srtp,media=video,clock-rate=90000,encoding-name=H265,payload=96,ssrc=(uint){ssrc},"
            f"srtp-key=(buffer){key},{kinds}"
        )
        text = (
            f"udpsrc port={port} caps={caps} ! srtpdec ! rtph265depay ! h265parse ! avdec_h265 ! jpegenc ! "
            f"multifilesink location={tmp_path}/%03d.jpg"
        )
        with gst_launch(text):
            wait_until(lambda: len(list(tmp_path.glob("*.jpg"))) > 10, what="frames of srtpdec")


class gst_launch:
    """gst-launch-1.0 with this pipeline; leaving the context ends it."""

    def __init__(self, text: str) -> None:
        self._process = subprocess.Popen(["gst-launch-1.0", "-q", *text.split()], start_new_session=True)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *unused: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(120)
