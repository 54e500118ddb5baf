"""Which rows a call of `make bench` measures, and how long that will take."""

from __future__ import annotations

from benchmarks.result import Result
from benchmarks.row import Row
from benchmarks.store import Store

UNKNOWN = 15.0  # seconds of a round of a row that was never timed
QUICK_SECONDS = 170.0
# What `--quick` measures while there is time, the most important first. A row that shares another's run follows it: its
# own expected time is next to nothing.
QUICK = (
    "pipeline_capture_to_detection", "detector_auto_time", "rtp_good_loss_5_answered", "camera_fps_640x480",
    "camera_cpu_640x480", "transport_share_1920x1080", "startup_first_frame", "rtp_latency_640x480", "rtp_cpu_640x480",
)  # fmt: skip


def expected(name: str, rounds: int, *known: dict[str, Result]) -> float:
    """Seconds that a row will take, by the newest of the results that timed it."""
    for rows in known:
        row = rows.get(name)
        if row is not None and row.seconds and row.rounds:
            return rounds * row.seconds / len(row.rounds)
    return rounds * UNKNOWN


def chosen(rows: list[Row], some: bool, run: Store, fresh: bool) -> list[Row]:
    """All rows asked for; of a run of all rows that was stopped, those it still lacks."""
    if fresh or some or not run.pending:
        return rows
    return [row for row in rows if row.name in run.pending]


def quick(rows: list[Row], *known: dict[str, Result]) -> list[Row]:
    """As many of ``QUICK`` as fit into three minutes with one round each."""
    by_name = {row.name: row for row in rows}
    taken, left = [], QUICK_SECONDS
    for name in QUICK:
        cost = expected(name, 1, *known)
        if name in by_name and cost <= left:
            taken.append(by_name[name])
            left -= cost
    return taken


def duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
