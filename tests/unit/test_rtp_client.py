"""For users without ROS: the example and ``edgecam receive``."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from edgecam_core.cli import receive
from edgecam_core.cli.main import main
from edgecam_core.errors import SettingError
from network import free_udp_port
from rtp_scene import index_of, sending

ROOT = Path(__file__).resolve().parents[2]


def test_the_example_prints_frames_with_their_age() -> None:
    port = free_udp_port()
    example = [sys.executable, str(ROOT / "examples" / "rtp_client.py"), str(port)]
    with subprocess.Popen(example, stdout=subprocess.PIPE, text=True, start_new_session=True) as client:
        assert client.stdout is not None
        try:
            with sending(port):
                first = client.stdout.readline()
        finally:
            os.killpg(client.pid, signal.SIGKILL)
    assert re.match(r"frame 1: \(240, 320, 3\), mean \d+\.\d, captured -?\d+\.\d ms ago", first)


def test_receive_reports_and_saves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port, file = free_udp_port(), tmp_path / "last.png"
    with sending(port):
        code = main(["receive", f"rtp://@:{port}", "--no-window", "--seconds", "3", "--snapshot", str(file)])
    assert code == 0
    out = capsys.readouterr().out
    assert "running: 320x240" in out
    assert "time by ntp64" in out
    assert index_of(cv2.imread(str(file))) > 0


def test_receive_without_a_stream_reports_it(capsys: pytest.CaptureFixture[str]) -> None:
    port = free_udp_port()
    assert main(["receive", f"rtp://@:{port}", "--no-window", "--seconds", "1.5"]) == 1
    assert f"no stream on UDP port {port}; 0 packets, no frame yet" in capsys.readouterr().out


def test_addresses() -> None:
    assert receive.stream_settings("rtp://@:5004") == {"port": 5004}
    assert receive.stream_settings("rtp://239.1.2.3:5004") == {"host": "239.1.2.3", "port": 5004}
    assert receive.stream_settings("a/b.sdp") == {"sdp_file": "a/b.sdp"}
    for bad in ("rtp://@:99999", "rtp://@:5000/path"):
        with pytest.raises(SettingError, match="parameter 'stream'"):
            receive.stream_settings(bad)
