# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The table of ``edgecam top``. Independent of ROS."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from edgecam_viewer.node_status import BITRATES, NodeStatus

# Heading, width and diagnostics value of each column.
COLUMNS = (("FPS", 7, "fps"), ("LATENCY ms", 11, "latency_ms"), ("CPU %", 7, "cpu_percent"), ("MEM MB", 7, "memory_mb"))
JETSON_LOAD = Path("/sys/devices/platform/gpu.0/load")  # tenths of a percent
SMI = ("nvidia-smi", "--query-gpu=name,utilization.gpu,memory.used,memory.total", "--format=csv,noheader,nounits")


def table(nodes: Sequence[NodeStatus], width: int = 120) -> list[str]:
    """A heading, one line per node, and the totals of CPU and memory; lines are cut to ``width`` characters."""
    if not nodes:
        return ["no node has reported yet (topic /diagnostics)"]
    longest = max(len("NODE"), *(len(node.name) for node in nodes))
    heading = f"{'NODE':<{longest}} STATE" + "".join(f"{title:>{size}}" for title, size, _ in COLUMNS) + "  MESSAGE"
    lines = [heading]
    for node in nodes:
        values = "".join(f"{node.values.get(key, '-'):>{size}}" for _, size, key in COLUMNS)
        lines.append(f"{node.name:<{longest}} {node.level:<5}{values}  {node.message}{_bitrates(node)}")
    # Nodes of one process report the same values, so count each process once.
    processes = {node.process or node.name: node for node in nodes if node.level != "stale"}
    cpu = sum(node.number("cpu_percent") or 0.0 for node in processes.values())
    memory = sum(node.number("memory_mb") or 0.0 for node in processes.values())
    lines.append(f"{'all':<{longest}}      {'':>7}{'':>11}{cpu:>7.1f}{memory:>7.0f}")
    return [line[:width].rstrip() for line in lines]


def _bitrates(node: NodeStatus) -> str:
    """The bitrates that a sender reports, in brackets: the estimated one only while the receiver reports arrivals."""
    rates = [(name.partition("_")[0], rate) for name in BITRATES if (rate := node.number(name)) is not None]
    return f" ({', '.join(f'{name} {rate / 1e6:.2f}' for name, rate in rates)} Mbit/s)" if rates else ""


def gpu_line(jetson: Path = JETSON_LOAD) -> list[str]:
    """One line with the load of each GPU; empty without a GPU. Blocks for about 50 ms if nvidia-smi is installed."""
    if jetson.exists():
        return [f"GPU {int(jetson.read_text()) / 10:.0f} %"]
    try:
        output = subprocess.run(SMI, capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [gpu_text(line) for line in output.splitlines() if line.count(",") == 3]


def gpu_text(line: str) -> str:
    """One line of nvidia-smi's output as text."""
    name, load, used, total = (part.strip() for part in line.split(","))
    return f"GPU {name}: {load} %, {used} of {total} MiB"
