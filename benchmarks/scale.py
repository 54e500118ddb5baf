"""Scale on paper: how many cameras a machine can serve, from the measured cost of a frame and estimated machine speeds.

The costs are the table ``frame_costs`` of the published results (``python3 -m benchmarks.costs``). The core speed of
other machines and the share that their hardware takes over are estimates; the page states this.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.store import Store

SPARE = 0.7  # usable share of all CPU time; above it, queues form and latency grows
RATES = (10, 25)  # frames per second of each camera


@dataclass(frozen=True)
class Machine:
    """``speed`` is that of one core relative to the measured machine; ``codec`` and ``detect`` scale those costs.

    ``network_ms`` is the accelerator's time per frame; it processes one frame at a time, independent of the CPU.
    """

    name: str
    cores: int
    speed: float
    codec: float = 1.0
    detect: float = 1.0
    network_ms: float = 0.0
    estimate: bool = True


MACHINES = (
    Machine("PC, 2 cores as measured", 2, 1.0, estimate=False),
    Machine("PC, 4 such cores", 4, 1.0),
    Machine("PC, 8 such cores", 8, 1.0),
    # No NVENC on this board: encoding stays in software, decoding does not. Cortex-A78AE at 1.5 GHz.
    Machine("Jetson Orin Nano", 6, 0.45, codec=0.8, detect=0.2, network_ms=5.0),
    Machine("Jetson AGX Orin", 12, 0.6, codec=0.15, detect=0.2, network_ms=2.5),
)
# Role of the machine -> the processes that run on it.
ROLES = {
    "camera and detector on one machine": ("camera", "detector"),
    "the same through the RTP link": ("camera", "sender", "receiver", "detector"),
    "camera host (camera, sender)": ("camera", "sender"),
    "detector host (receiver, detector)": ("receiver", "detector"),
}
CODED = {"sender", "receiver"}


def costs(store: Store) -> dict[str, float]:
    """Process -> measured milliseconds of CPU time per frame."""
    return {row[0]: float(row[1]) for row in store.tables["frame_costs"]["rows"]}


def per_frame(machine: Machine, role: tuple[str, ...], measured: dict[str, float]) -> dict[str, float]:
    """Process -> milliseconds of CPU time per frame on this machine."""
    factor = {name: machine.codec if name in CODED else machine.detect if name == "detector" else 1.0 for name in role}
    return {name: measured[name] * factor[name] / machine.speed for name in role}


def cameras(machine: Machine, role: tuple[str, ...], measured: dict[str, float], rate: float) -> int:
    """How many cameras at this rate the machine can serve."""
    frames = 1000 * SPARE * machine.cores / sum(per_frame(machine, role, measured).values())
    if "detector" in role and machine.network_ms:
        frames = min(frames, 1000 * SPARE / machine.network_ms)
    return math.floor(frames / rate)


def bottleneck(machine: Machine, role: tuple[str, ...], measured: dict[str, float]) -> str:
    """What limits the machine: the accelerator, or the process that uses the most CPU time."""
    spent = per_frame(machine, role, measured)
    if "detector" in role and machine.network_ms * machine.cores > sum(spent.values()):
        return "the accelerator"
    return max(spent, key=lambda name: spent[name])


def text(_words: list[str], store: Store) -> str:
    """One table for each role."""
    measured, parts = costs(store), []
    for role, names in ROLES.items():
        lines = [f"**{role[0].upper()}{role[1:]}**", ""]
        heads = " | ".join(f"cameras at {rate} Hz" for rate in RATES)
        lines += [f"| machine | {heads} | bottleneck | |", "|---|---|---|---|---|"]
        for one in MACHINES:
            counts = " | ".join(str(cameras(one, names, measured, rate)) for rate in RATES)
            kind = "estimate" if one.estimate else "measured costs"
            lines.append(f"| {one.name} | {counts} | {bottleneck(one, names, measured)} | {kind} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
