"""Bad values are refused before anything starts, and the error names the parameter."""

from __future__ import annotations

import socket

import pytest
from edgecam_core.cli.receive import stream_settings
from edgecam_core.errors import SettingError
from edgecam_core.media import decoders, encoders
from edgecam_core.media.encoders import EncoderRequest
from edgecam_core.rtp import sockets
from edgecam_core.rtp.receiver import Receiver
from edgecam_core.rtp.sender import Sender
from edgecam_core.rtp.settings import ReceiverSettings, SenderSettings, split_address
from network import free_udp_port


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"port": 70_000}, "parameter 'port' is 70000: must be 1 to 65533"),
        ({"codec": "vp9"}, "parameter 'codec' is 'vp9': must be one of h265, h264"),
        ({"bitrate": 10}, "parameter 'bitrate' is 10: must be 50000 to 1e+08 bit/s"),
        ({"destinations": ("10.0.0.1",)}, "parameter 'destinations' is '10.0.0.1': must be host:port"),
        ({"encoder_options": "a=1 ! fakesink"}, "parameter 'encoder_options'"),
    ],
)
def test_sender_values(values: dict[str, object], text: str) -> None:
    with pytest.raises(SettingError) as error:
        SenderSettings(**values)
    assert str(error.value).startswith(text)


def test_a_source_address_must_be_one() -> None:
    with pytest.raises(SettingError, match=r"source_address.*192\.168\.1\.20"):
        ReceiverSettings(source_address="the camera")


@pytest.mark.parametrize(
    ("text", "pair"), [("host:5000", ("host", 5000)), ("[fe80::1]:80", ("fe80::1", 80)), ("1.2.3.4:1", ("1.2.3.4", 1))]
)
def test_addresses(text: str, pair: tuple[str, int]) -> None:
    assert split_address("destinations", text) == pair


@pytest.mark.parametrize("text", ["host", ":5000", "host:0", "host:x", "fe80::1:80", "host:99999"])
def test_bad_addresses(text: str) -> None:
    with pytest.raises(SettingError):
        split_address("destinations", text)


def test_an_encoder_of_the_other_codec_is_refused_with_the_list() -> None:
    with pytest.raises(SettingError, match=r"encoder.*x264enc.*x265enc.*for codec h265"):
        Sender(SenderSettings(encoder="x264enc"))
    with pytest.raises(SettingError, match=r"decoder.*avdec_h265"):
        decoders.choose("theoradec", "h265")


def test_an_unknown_host_is_refused() -> None:
    with pytest.raises(SettingError, match=r"parameter 'host' is 'no\.such\.host\.invalid': cannot be resolved"):
        Sender(SenderSettings(host="no.such.host.invalid"))


def test_a_port_in_use_is_reported_and_works_once_it_is_free() -> None:
    port = free_udp_port()
    receiver = Receiver(ReceiverSettings(port=port))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", port))
        with pytest.raises(SettingError, match=f"parameter 'port' is {port}: is in use"):
            receiver.start()
    receiver.start()
    receiver.stop()


def test_an_address_of_another_machine_is_reported() -> None:
    with pytest.raises(SettingError, match=r"parameter 'host' is '192\.0\.2\.1': is not an address of this machine"):
        sockets.receiver("192.0.2.1", free_udp_port())


@pytest.mark.parametrize("row", encoders.ENCODERS, ids=lambda row: row.element)
def test_every_encoder_row_sets_bitrate_and_keyframe_interval(row: encoders.Encoder) -> None:
    text = encoders.pipeline_text(row, EncoderRequest(3_000_000, 45, "extra=1"), 640, 480, 29.97)
    assert f"{row.element} name=encoder" in text
    assert "bitrate=3000" in text
    assert "=45 " in text
    assert "extra=1" in text
    assert "framerate=30000/1001" in text
    assert text.index("appsrc") < text.index(row.element) < text.index("config-interval=-1")


@pytest.mark.parametrize("text", ["udp://@:5000", "rtsp://camera/stream", "srt://1.2.3.4:5"])
def test_the_error_of_receive_names_the_accepted_addresses(text: str) -> None:
    with pytest.raises(SettingError, match=r"'stream' is .*: must be rtp://@:PORT, rtp://ADDRESS:PORT or an SDP file"):
        stream_settings(text)
