"""Identifies the machine of a measurement and measures its load."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path

BUSY_LIMIT = 0.1  # results are not published if a larger share of the CPUs was busy with other work

# The instruction sets that speed up INT8 and FP32 networks most, by their flag in /proc/cpuinfo, best first.
VECTORS = {"avx512_vnni": "AVX-512 VNNI", "avx512f": "AVX-512", "avx_vnni": "AVX-VNNI", "avx2": "AVX2"}


def name() -> str:
    """The machine's name in the results: CPU, cores and memory; ``EDGECAM_MACHINE`` overrides it.

    The model alone is ambiguous: virtual machines give processors with and without AVX-512 the same name.
    """
    cpu = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "?")
    flags = next((line.split() for line in _lines("/proc/cpuinfo") if line.startswith("flags")), [])
    cpu += next((f" ({name})" for flag, name in VECTORS.items() if flag in flags), "")
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return os.environ.get("EDGECAM_MACHINE") or f"{cpu}, {os.cpu_count()} cores, {memory / 2**20:.0f} GiB"


def facts() -> dict[str, str]:
    """Other properties that may influence the results."""
    return {
        "system": _os_name(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "ros": os.environ.get("ROS_DISTRO", "?"),
        "gpu": _gpu(),
    }


def today() -> str:
    return time.strftime("%Y-%m-%d")


def busy(seconds: float = 0.5) -> float:
    """The share of all processors' time that is not idle over ``seconds``, 0 to 1; blocks that long."""
    before = _jiffies()
    time.sleep(seconds)
    after = _jiffies()
    total = sum(after) - sum(before)
    idle = sum(after[3:5]) - sum(before[3:5])  # idle and iowait
    return 1 - idle / total if total else 0.0


def _jiffies() -> list[int]:
    # user nice system idle iowait irq softirq steal; guest time is part of user.
    return [int(word) for word in _lines("/proc/stat")[0].split()[1:9]]


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def _os_name() -> str:
    known = dict(line.split("=", 1) for line in _lines("/etc/os-release") if "=" in line)
    return known.get("PRETTY_NAME", platform.platform()).strip('"')


def _gpu() -> str:
    try:
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip() or "none"
    except (OSError, subprocess.CalledProcessError):
        return "none"
