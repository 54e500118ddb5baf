"""A node stopped at any moment of its start ends cleanly: no traceback, exit code 0, no foreign output.

EDGECAM_STOPS sets at how many moments of the first five seconds each node is stopped (make fuzz: 20).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from importlib.metadata import distribution
from importlib.util import cache_from_source, find_spec
from pathlib import Path

import pytest
from ament_index_python.packages import get_package_prefix
from network import free_tcp_port, free_udp_port

STOPS = int(os.environ.get("EDGECAM_STOPS", "3"))
NODES = {
    "camera_node": ("edgecam_camera", ()),
    "cameras": ("edgecam_camera", (str(Path(__file__).resolve().parents[2] / "config" / "cameras.yaml"),)),
    "rtp_sender_node": ("edgecam_rtp", ("--ros-args", "-p", "port:={udp}")),
    "rtp_receiver_node": ("edgecam_rtp", ("--ros-args", "-p", "port:={udp}")),
    "detector_node": ("edgecam_detector", ()),
    "collector_node": ("edgecam_collector", ("--ros-args", "-p", "directory:={folder}")),
    "recorder_node": ("edgecam_recorder", ("--ros-args", "-p", "directory:={folder}")),
    "events_node": ("edgecam_events", ("--ros-args", "-p", "events_directory:={folder}")),
    "viewer_node": ("edgecam_viewer", ("--ros-args", "-p", "port:={tcp}")),
    "monitor_node": ("edgecam_viewer", ()),
}


def moments(name: str) -> list[float]:
    """Spread over the first five seconds, most of them early, where Python starts and imports."""
    chance = random.Random(name)
    return [0.01, *(5.0 * chance.random() ** 2 for _ in range(STOPS - 1))]


@pytest.mark.timeout(60 + 130 * STOPS)
@pytest.mark.parametrize("name", NODES)
def test_a_node_stopped_at_any_moment_ends_cleanly(name: str, tmp_path: Path) -> None:
    package, arguments = NODES[name]
    program = Path(get_package_prefix(package)) / "lib" / package / name
    for moment, number in zip(moments(name), (signal.SIGINT, signal.SIGTERM) * STOPS, strict=False):
        given = [one.format(udp=free_udp_port(), tcp=free_tcp_port(), folder=tmp_path) for one in arguments]
        process = subprocess.Popen([program, *given], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        with process:
            time.sleep(moment)  # the moment is the subject of the test
            process.send_signal(number)
            output, _ = process.communicate(timeout=120)
        assert "Traceback" not in output, f"stopped after {moment:.2f} s:\n{output}"
        assert "Fatal" not in output, f"stopped after {moment:.2f} s:\n{output}"
        before_python = process.returncode == -number and not output
        assert process.returncode == 0 or before_python, f"stopped after {moment:.2f} s by {number.name}:\n{output}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_a_long_import_ends_the_program_at_once(tmp_path: Path, number: signal.Signals) -> None:
    # Not one long sleep: a signal just before it, after Python's last check, would be handled after it.
    (tmp_path / "slow.py").write_text("import time\nprint('importing', flush=True)\nwhile True: time.sleep(0.01)\n")
    code = f"import sys; sys.path.append({str(tmp_path)!r}); from edgecam_ros.starting import start; start('slow')"
    command = ["env", "--block-signal=INT,TERM", sys.executable, "-c", code]  # as setup.cfg does for the executables
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(number)
        assert process.communicate(timeout=120)[0] == ""
    assert process.returncode == 0


def test_work_parallel_to_the_imports_neither_waits_for_them_nor_ends_the_program(tmp_path: Path) -> None:
    (tmp_path / "flag.py").write_text("import threading\nloaded = threading.Event()\n")
    (tmp_path / "program.py").write_text(
        "from flag import loaded\nassert loaded.wait(60)\nmain = lambda: 7\n"  # waits while it is imported
    )
    code = f"""
import sys; sys.path.append({str(tmp_path)!r})
import flag
from edgecam_ros.starting import start

def parallel():
    flag.loaded.set()
    raise OSError("main fails with it, too")

sys.exit(start("program", parallel))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")


@pytest.mark.parametrize("package", sorted({"edgecam_ros", *(package for package, _ in NODES.values())}))
def test_every_program_starts_in_the_same_way(package: str) -> None:
    programs = [one for one in distribution(package).entry_points if one.group == "console_scripts"]
    assert programs
    for program in programs:
        assert program.module == f"{package}.start"
        script = Path(get_package_prefix(package)) / "lib" / package / program.name
        assert "--block-signal=INT,TERM" in script.read_text().splitlines()[0]
        assert "metadata" not in script.read_text()  # reading it takes 30 ms of each start
        spec = find_spec(program.module)
        assert spec is not None
        assert spec.origin is not None
        compiled = Path(cache_from_source(spec.origin))
        assert compiled.exists(), f"{spec.origin} is compiled at each start; run scripts/setup"
