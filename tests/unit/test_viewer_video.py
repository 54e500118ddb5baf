"""WebRTC without a browser: offers, refusals, freed resources."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from edgecam_core.counters import Counters
from edgecam_core.errors import EdgecamError, MissingDependency
from edgecam_core.media.encoding import EncoderPipeline
from edgecam_core.types import Frame
from edgecam_ros.faults import FaultLog
from edgecam_viewer.broadcast import Broadcast
from edgecam_viewer.feed import AnnotatedFrame
from edgecam_viewer.hub import Client, Hub
from edgecam_viewer.peer import WebRtcPeer, require
from edgecam_viewer.settings import ViewerSettings
from edgecam_viewer.video import Video
from waiting import wait_until

from edgecam_viewer import broadcast

try:
    require()
except MissingDependency as error:
    pytest.skip(str(error), allow_module_level=True)


class Offered:
    """A peer whose offer has arrived."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        come = threading.Event()
        offers: list[str] = []

        def take(sdp: str) -> None:
            offers.append(sdp)
            come.set()

        self.peer = WebRtcPeer(7, host, take, lambda: None)
        assert come.wait(120)
        self.sdp = offers[0]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine counts no encoder as failed."""
    monkeypatch.setattr(broadcast, "ENCODE_TIMEOUT", 120.0)


@pytest.fixture
def offered() -> Iterator[Offered]:
    one = Offered()
    yield one
    one.peer.close()


def answer_to(offer: str) -> str:
    """The answer of a browser to it."""
    kept = [line for line in offer.splitlines() if not line.startswith(("a=candidate", "a=ssrc", "a=msid"))]
    return "\r\n".join(kept).replace("a=sendonly", "a=recvonly").replace("actpass", "active") + "\r\n"


def test_an_offer_names_the_page_s_address_only_and_sends_only(offered: Offered) -> None:
    lines = offered.sdp.splitlines()
    addresses = {line.split()[4] for line in lines if line.startswith("a=candidate")}
    assert addresses == {"127.0.0.1"}
    assert "a=sendonly" in lines
    assert any(line.startswith("a=fingerprint:sha-256") for line in lines), "no encryption"
    assert "a=rtcp-fb:102 nack" in lines, "lost packets are not sent again"


@pytest.mark.parametrize(
    "sdp", ["", "hello", "v=0\r\n", "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n", "\0" * 1000, "m=video\r\n" * 5000]
)
def test_data_that_is_not_an_answer_is_refused(offered: Offered, sdp: str) -> None:
    with pytest.raises(EdgecamError, match=r"not an answer|is invalid"):
        offered.peer.answer(sdp)


def test_an_answer_is_taken_once(offered: Offered) -> None:
    offered.peer.answer(answer_to(offered.sdp) + "a=candidate:1 1 UDP 1 203.0.113.9 4000 typ host\r\n")
    with pytest.raises(EdgecamError, match="without an offer"):
        offered.peer.answer(answer_to(offered.sdp))


def test_no_router_is_asked_for_a_port_mapping() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as network:
        network.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        network.bind(("239.255.255.250", 1900))  # SSDP, used by UPnP
        joined = socket.inet_aton("239.255.255.250") + socket.inet_aton("127.0.0.1")
        network.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
        for _ in range(3):
            one = Offered()
            one.peer.answer(answer_to(one.sdp))
            one.peer.close()
        network.setblocking(False)
        with pytest.raises(BlockingIOError):
            network.recv(1000)


def test_connections_free_their_sockets() -> None:
    Offered().peer.close()

    def files() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = files()
    for _ in range(3):
        Offered().peer.close()
    wait_until(lambda: files() <= before)


class Connected:
    """Replaces a browser; counts the packets sent to it."""

    connected = True
    packets = 0

    def send(self, packets: list[object]) -> None:
        self.packets += len(packets)


def annotated(count: int, width: int = 320, height: int = 240) -> AnnotatedFrame:
    pixels = np.full((height, width, 3), count % 255, np.uint8)
    return AnnotatedFrame(Frame.from_array(pixels, "bgr8", 1_000_000_000 + count * 33_000_000, "camera"), [])


def test_a_camera_is_encoded_once_for_all_viewers_and_only_while_there_are_viewers() -> None:
    counters = Video(ViewerSettings(), Hub(0, 1), FaultLog(print)).counters
    camera = Broadcast(0, ViewerSettings(max_width=160), counters, FaultLog(print))
    notes: list[dict] = []
    first, second = Connected(), Connected()
    camera.join("first", first, lambda _kind, text: notes.append(json.loads(text)))  # type: ignore[arg-type]
    camera.join("second", second, lambda *_: None)  # type: ignore[arg-type]
    for count, size in enumerate([(320, 240), (320, 240), (200, 100)]):  # another size makes another encoder
        camera.submit(annotated(count, *size))
        wait_until(lambda count=count: len(notes) == count + 1)
    assert camera.encoding
    assert first.packets == second.packets >= 3
    assert camera.meter.count == 3
    assert [(note["width"], note["height"]) for note in notes] == [(320, 240), (320, 240), (200, 100)]
    assert notes[1]["rtp"] - notes[0]["rtp"] == pytest.approx(0.033 * 90_000, abs=1)
    camera.leave("first")
    assert camera.encoding
    camera.leave("second")
    assert not camera.encoding
    assert "video encoder" not in {thread.name for thread in threading.enumerate()}
    camera.submit(annotated(9))  # no viewer: nothing is encoded
    assert counters.totals() == {}


def test_frames_the_encoder_cannot_take_are_counted() -> None:
    camera = Broadcast(
        0, ViewerSettings(), (video := Video(ViewerSettings(), Hub(0, 1), FaultLog(print))).counters, FaultLog(print)
    )
    camera.join("one", Connected(), lambda *_: None)  # type: ignore[arg-type]
    camera.submit(annotated(0, 3, 1))
    wait_until(lambda: any(what.startswith("video failed") for what in video.counters.totals()))
    camera.leave("one")


def test_an_encoder_that_fails_at_its_first_frame_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """GStreamer ends the process when a pipeline is freed while it plays."""
    playing: list[EncoderPipeline] = []

    class Watched(EncoderPipeline):
        def __init__(self, *values: object) -> None:
            super().__init__(*values)  # type: ignore[arg-type]
            playing.append(self)

        def push(self, planes: np.ndarray, stamp_ns: int) -> bool:
            return True  # the frame never reaches the encoder, which is sometimes fast enough for a timeout of 0

        def stop(self) -> None:
            super().stop()
            playing.remove(self)

    monkeypatch.setattr(broadcast, "EncoderPipeline", Watched)
    monkeypatch.setattr(broadcast, "ENCODE_TIMEOUT", 0.0)
    counters = Counters()
    camera = Broadcast(0, ViewerSettings(), counters, FaultLog(print))
    camera.join("one", Connected(), lambda *_: None)  # type: ignore[arg-type]
    for count in (1, 2):
        camera.submit(annotated(count))
        wait_until(lambda count=count: sum(counters.totals().values()) >= count)
    camera.leave("one")
    assert playing == []
    assert not camera.encoding


def test_connections_follow_the_watched_cameras() -> None:
    hub = Hub(2, 8)
    video = Video(ViewerSettings(), hub, FaultLog(print))
    client = Client([0])
    video.watch(client, [0, 1])
    wait_until(lambda: video.connections == 2)
    video.watch(client, [1])
    wait_until(lambda: video.connections == 1)
    video.answer(client, 1, "nonsense")
    wait_until(lambda: video.connections == 0)
    video.answer(client, 7, "nonsense")
    wait_until(lambda: video.counters.totals().get("a WebRTC answer arrived without an offer"))
    video.watch(client, [0])
    wait_until(lambda: video.connections == 1)
    video.stop()
    assert video.facts(time.monotonic())["webrtc_connections"] == 0
