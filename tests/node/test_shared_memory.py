"""Segments of a killed node in /dev/shm are found and freed; those of a running node stay."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgecam_core.doctor import Level, shared_memory
from ros_peer import Peer

# A participant; prints a line once its segment and ports exist.
NODE = """
import rclpy, time
rclpy.init()
node = rclpy.create_node("left_behind")
print("up", flush=True)
time.sleep(600)
"""


@contextmanager
def participant() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", NODE], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield process
    finally:
        process.kill()
        process.wait()


def own_segments(process: subprocess.Popen[str]) -> set[Path]:
    """The segments created by a process: it keeps their lock files open. It also maps those of its peers."""
    links = [os.readlink(one) for one in Path(f"/proc/{process.pid}/fd").iterdir()]
    return {Path(one.removesuffix("_el")) for one in links if re.fullmatch(r"/dev/shm/fast\w+_[0-9a-f]{16}_el", one)}


def test_only_what_a_killed_node_left_is_freed(peer: Peer) -> None:
    with participant() as living, participant() as killed:
        segments = own_segments(killed)
        assert segments
        assert not segments & {one.files[0] for one in shared_memory.stale()}, "in use, but found stale"
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        assert segments <= {one.files[0] for one in shared_memory.stale()}
        finding = next(iter(shared_memory.check()))
        assert finding.level == Level.WARNING
        assert "--free" in finding.remedy
        used = own_segments(living)
        done = subprocess.run([sys.executable, "-m", "edgecam_core.doctor", "--free"], check=False)
        assert done.returncode == 0
        assert not [path for path in segments if path.exists()]
        assert used
        assert all(path.exists() for path in used)
        assert living.poll() is None


def test_an_orphaned_segment_is_distinguished_from_one_in_use(tmp_path: Path) -> None:
    (tmp_path / "fastdds_0123456789abcdef").write_bytes(bytes(5 * shared_memory.MIB))
    (tmp_path / "fastdds_0123456789abcdef_el").touch()
    (tmp_path / "fastdds_port7411").write_bytes(bytes(2 * shared_memory.MIB))
    (tmp_path / "fastdds_port7411_sl").touch()
    (tmp_path / "sem.fastdds_port7411_mutex").touch()
    (tmp_path / "somebody_elses_el").touch()
    with (tmp_path / "fastdds_port7411_sl").open() as port:
        fcntl.flock(port, fcntl.LOCK_SH)
        assert (
            shared_memory.free(tmp_path)
            == f"{tmp_path}: freed 5 MiB in Fast DDS segments and ports of killed processes (1)"
        )
    assert {path.name for path in tmp_path.iterdir()} == {
        "fastdds_port7411", "fastdds_port7411_sl", "sem.fastdds_port7411_mutex", "somebody_elses_el"
    }  # fmt: skip
    assert (
        shared_memory.free(tmp_path)
        == f"{tmp_path}: freed 2 MiB in Fast DDS segments and ports of killed processes (1)"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["somebody_elses_el"]
    assert shared_memory.free(tmp_path) == ""
