"""Failures at either end are reported to the owner: no thread dies silently, and a bad frame loses one frame."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pytest
from edgecam_core.errors import EdgecamError, ImageError
from edgecam_core.media import colour, encoders
from edgecam_core.rtp.feedback_listener import FeedbackListener
from edgecam_core.rtp.packetiser import Packetiser
from edgecam_core.rtp.receiver import Receiver
from edgecam_core.rtp.rtp_session import RtpSession
from edgecam_core.rtp.sender import Sender
from edgecam_core.rtp.settings import ReceiverSettings, SenderSettings
from edgecam_core.types import Frame
from network import free_udp_port
from rtp_scene import frame, receiving, sending
from waiting import wait_until


def broken(*_arguments: object, **_values: object) -> None:
    raise ZeroDivisionError("on purpose")


def test_an_unexpected_error_of_the_receiving_thread_reaches_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RtpSession, "tick", broken)
    receiver = Receiver(ReceiverSettings(port=free_udp_port()))
    receiver.start()
    try:
        with pytest.raises(EdgecamError, match="unexpected ZeroDivisionError: on purpose") as raised:
            wait_until(lambda: receiver.read(0.05))
        assert isinstance(raised.value.__cause__, ZeroDivisionError)
    finally:
        receiver.stop()


@pytest.mark.parametrize(("owner", "method"), [(Packetiser, "packets"), (FeedbackListener, "datagram")])
def test_an_unexpected_error_of_a_sending_thread_reaches_the_owner(
    owner: type, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, method, broken)
    port, errors = free_udp_port(), []
    sender = Sender(SenderSettings(port=port, keyframe_interval=300), errors.append)
    sender.start()
    try:
        sender.send(frame(0))
        wait_until(lambda: sender.stats().frames_sent or errors)
        # The receiver starts late and requests a keyframe.
        with receiving(port), pytest.raises(EdgecamError, match="unexpected ZeroDivisionError"):
            wait_until(lambda: sender.send(frame(1)))
    finally:
        sender.stop()
    assert [str(error) for error in errors] == ["unexpected ZeroDivisionError: on purpose"]


def test_a_frame_that_cannot_be_converted_loses_one_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    convert, left = colour.convert, [1]

    def once_bad(*arguments: object) -> None:
        if left:
            left.clear()
            raise ImageError("a damaged frame")
        convert(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(colour, "convert", once_bad)
    port = free_udp_port()
    with receiving(port) as (receiver, reader), sending(port):
        wait_until(lambda: len(reader.seen) >= 5)
        assert receiver.stats().errors == {"a damaged frame": 1}


def test_a_stalled_encoder_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    row = next(row for row in encoders.ENCODERS if row.element == "x265enc")
    stall = replace(row, text=lambda request: row.text(request) + " ! identity drop-probability=1.0")
    monkeypatch.setattr(encoders, "choose", lambda *_: stall)
    sender = Sender(SenderSettings(port=free_udp_port()))
    sender.start()
    try:
        sender.send(frame(0))
        wait_until(lambda: sender.stats().stalled > 0.3)
        assert sender.stats().frames_sent == 0
    finally:
        sender.stop()


def test_an_image_that_the_encoder_refuses_is_named_and_the_next_one_is_sent() -> None:
    sender = Sender(SenderSettings(port=free_udp_port(), codec="h264"))
    sender.start()
    huge = np.zeros((16, 65_536), np.uint8)
    try:
        for _ in range(2):
            with contextlib.suppress(ImageError):
                sender.send(Frame.from_array(huge, "mono8", 1, ""))
        wait_until(lambda: (65_536, 16) in sender._encoder.refused, what="the encoder's refusal")
        with pytest.raises(ImageError, match=r"65536x16 frames are refused by x264enc: .+"):
            sender.send(Frame.from_array(huge, "mono8", 2, ""))
        sender.send(frame(3))
        wait_until(lambda: sender.stats().frames_sent == 1)
    finally:
        sender.stop()
