"""Foreign peers without ROS: ffmpeg at either end, by session description; GStreamer's rtpbin with RTCP."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from network import free_udp_port
from rtp_scene import HEIGHT, WIDTH, Reader, index_of, pixels_of, psnr, receiving, sending
from waiting import wait_until

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
SIZE = WIDTH * HEIGHT * 3
LOOP = 180  # frames, 6 seconds
PERIOD = 1280  # frames until pixels_of repeats itself
FFMPEG = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin"]


def every_frame_once() -> list[str]:
    """The option that stops ffmpeg from repeating frames in place of late ones; its name since 5.1."""
    known = subprocess.run([*FFMPEG, "-h", "long"], capture_output=True, text=True, check=True).stdout
    return ["-fps_mode" if "-fps_mode" in known else "-vsync", "passthrough"]


@contextmanager
def program(*words: str, **streams: object) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(words, start_new_session=True, **streams)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(120)


@needs_ffmpeg
@pytest.mark.parametrize("codec", ["h265", "h264"])
def test_ffmpeg_plays_what_the_sender_sends_by_its_sdp_file(codec: str, tmp_path: Path) -> None:
    sdp, raw = tmp_path / "stream.sdp", tmp_path / "frames.bgr"
    port = free_udp_port()
    with sending(port, rate=10.0, codec=codec, sdp_file=str(sdp), keyframe_interval=15):
        wait_until(lambda: "sprop" in sdp.read_text(), what="parameter sets in the SDP file")
        quick = ["-protocol_whitelist", "file,udp,rtp", "-fflags", "nobuffer", "-flags", "low_delay"]
        with program(
            *FFMPEG, *quick, "-i", str(sdp), *every_frame_once(), "-f", "rawvideo", "-pix_fmt", "bgr24", str(raw)
        ):
            # Before the first keyframe, and after its socket was full on a busy machine, it shows damaged frames.
            wait_until(lambda: in_a_row(raw) >= 20, what="20 whole frames in a row", every=0.5)


def in_a_row(raw: Path) -> int:
    """The most frames in a row that are whole and newer than the one before, in a file that still grows."""
    count = raw.stat().st_size // SIZE if raw.exists() else 0
    most = row = last = 0
    for frame in np.fromfile(raw, np.uint8, count * SIZE).reshape(count, HEIGHT, WIDTH, 3) if count else ():
        shown = range(index_of(frame), PERIOD, 256)  # the frame shows eight bits of its number
        number = next((one for one in shown if psnr(frame, pixels_of(one)) > 28), None)
        newer = number is not None and (row == 0 or 0 < (number - last) % PERIOD < PERIOD // 2)
        row, last = (row + 1, number or 0) if newer else (0, 0)
        most = max(most, row)
    return most


@needs_ffmpeg
@pytest.mark.parametrize(("codec", "encoder"), [("h265", "libx265"), ("h264", "libx264")])
def test_the_receiver_plays_what_ffmpeg_sends_by_its_sdp_file(codec: str, encoder: str, tmp_path: Path) -> None:
    sdp, raw = tmp_path / "ffmpeg.sdp", tmp_path / "frames.bgr"
    raw.write_bytes(b"".join(pixels_of(number).tobytes() for number in range(LOOP)))
    port = free_udp_port()
    shape = ["-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{WIDTH}x{HEIGHT}", "-r", "30"]
    source = ["-re", "-stream_loop", "-1", *shape, "-i", str(raw)]
    coding = ["-pix_fmt", "yuv420p", "-c:v", encoder, "-preset", "ultrafast", "-tune", "zerolatency", "-g", "15"]
    out = ["-f", "rtp", "-sdp_file", str(sdp), f"rtp://127.0.0.1:{port}?pkt_size=1400"]
    with program(*FFMPEG, *source, *coding, *out, stdout=subprocess.DEVNULL):
        wait_until(lambda: sdp.exists() and "m=video" in sdp.read_text(), what="the SDP file of ffmpeg")
        with receiving(1234, sdp_file=str(sdp)) as (receiver, reader):
            wait_until(lambda: receiver.stats().state == "running")
            wait_until(lambda: len(reader.seen) >= 20)
            assert receiver.stats().stamp_source in ("rtcp", "arrival")  # its reports are five seconds apart
    assert_in_order(reader)
    assert abs(reader.seen[-1][0] - time.time_ns()) < 10e9


@pytest.mark.parametrize("codec", ["h265", "h264"])
def test_gst_launch_plays_what_the_sender_sends_by_its_sdp_file(codec: str, tmp_path: Path) -> None:
    sdp = tmp_path / "stream.sdp"
    text = (
        f"filesrc location={sdp} ! sdpdemux latency=50 ! rtp{codec}depay ! {codec}parse ! avdec_{codec} ! "
        f"videoconvert ! pngenc ! multifilesink location={tmp_path}/%03d.png"
    )
    with sending(free_udp_port(), codec=codec, sdp_file=str(sdp), keyframe_interval=15):
        wait_until(lambda: "sprop" in sdp.read_text(), what="parameter sets in the SDP file")
        with program("gst-launch-1.0", "-q", *text.split()):
            wait_until(lambda: len(list(tmp_path.glob("*.png"))) > 25, what="frames of gst-launch")
    # Before the first keyframe it shows damaged frames.
    numbers = [index_of(cv2.imread(str(path))) for path in sorted(tmp_path.glob("*.png"))[15:25]]
    assert np.diff(numbers).min() >= 1


@pytest.mark.skipif(shutil.which("vlc") is None, reason="VLC is not installed")
@pytest.mark.parametrize("codec", ["h265", "h264"])
def test_vlc_records_what_the_sender_sends_by_its_sdp_file(codec: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        sdp, out = Path(folder, "stream.sdp"), Path(folder, "out.ts")
        # Debian's VLC is built without live555, so libavformat reads the file. VLC refuses to run as root.
        vlc = ["vlc", "-I", "dummy", "--demux", "avformat", "--sout", f"#std{{access=file,mux=ts,dst={out}}}"]
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": {**os.environ, "HOME": folder}}
        if os.geteuid() == 0:
            streams["user"] = "nobody"
        with sending(free_udp_port(), codec=codec, sdp_file=str(sdp), keyframe_interval=15):
            wait_until(lambda: "sprop" in sdp.read_text(), what="parameter sets in the SDP file")
            with program(*vlc, str(sdp), **streams):
                wait_until(lambda: out.exists() and out.stat().st_size > 40_000, 120, what="what VLC records")
        clip = cv2.VideoCapture(str(out))
        frames = [frame for ok, frame in (clip.read() for _ in range(10)) if ok]
    assert len(frames) == 10
    assert np.diff([index_of(each) for each in frames]).min() >= 1


def assert_in_order(reader: Reader) -> None:
    """Frames come in order, at most two thirds of a loop apart."""
    numbers = [index for _, index, _ in reader.seen]
    steps = np.diff(numbers) % LOOP
    assert steps.min() >= 1
    assert steps.max() <= LOOP * 2 // 3
    assert reader.newest is not None
    assert psnr(reader.newest.bgr(), pixels_of(numbers[-1])) > 28
    stamps = [stamp for stamp, _, _ in reader.seen[-5:]]
    assert all(later > earlier for earlier, later in itertools.pairwise(stamps))


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
def test_colours_are_read_by_the_matrix_the_stream_names(matrix: str) -> None:
    port = free_udp_port()
    caps = f"video/x-raw,format=I420,width=320,height=240,framerate=30/1,colorimetry={matrix}"
    text = (
        f"videotestsrc is-live=true pattern=smpte ! {caps} ! x265enc tune=zerolatency speed-preset=ultrafast "
        f"key-int-max=15 ! rtph265pay config-interval=1 ! udpsink host=127.0.0.1 port={port} sync=false"
    )
    with receiving(port) as (_, reader), program("gst-launch-1.0", "-q", *text.split()):
        wait_until(lambda: len(reader.seen) >= 15)
    assert reader.newest is not None
    bars = reader.newest.bgr()[60, [66, 112, 158, 204, 250, 300]].astype(int)
    expected = [(0, 255, 255), (255, 255, 0), (0, 255, 0), (255, 0, 255), (0, 0, 255), (255, 0, 0)]
    assert np.abs(bars - expected).max() <= 12  # yellow, cyan, green, magenta, red, blue


def test_rtpbin_as_the_sender_gives_its_capture_time_by_rtcp() -> None:
    port = free_udp_port()
    text = (
        "rtpbin name=bin videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! "
        "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph265pay config-interval=1 ! "
        f"bin.send_rtp_sink_0 bin.send_rtp_src_0 ! udpsink host=127.0.0.1 port={port} sync=false "
        f"bin.send_rtcp_src_0 ! udpsink host=127.0.0.1 port={port + 1} sync=false async=false"
    )
    with receiving(port) as (receiver, reader), program("gst-launch-1.0", "-q", *text.split()):
        wait_until(lambda: receiver.stats().stamp_source == "rtcp" and len(reader.seen) > 20, what="RTCP time")
        assert abs(reader.seen[-1][0] - time.time_ns()) < 5e9


def test_rtpbin_as_the_receiver_plays_without_retransmission(tmp_path: Path) -> None:
    port = free_udp_port()
    text = (
        f"udpsrc port={port} caps=application/x-rtp,media=video,clock-rate=90000,encoding-name=H265,payload=96 ! "
        f"bin.recv_rtp_sink_0 rtpbin name=bin latency=50 udpsrc port={port + 1} ! bin.recv_rtcp_sink_0 "
        f"bin. ! rtph265depay ! h265parse ! avdec_h265 ! jpegenc ! multifilesink location={tmp_path}/%03d.jpg"
    )
    with sending(port, keyframe_interval=15), program("gst-launch-1.0", "-q", *text.split()):
        wait_until(lambda: len(list(tmp_path.glob("*.jpg"))) > 20, what="frames of rtpbin")
