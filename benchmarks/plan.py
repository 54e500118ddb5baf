"""Selects the rows that a call of `make bench` measures, and estimates the duration."""

from __future__ import annotations

from benchmarks.result import RowResult
from benchmarks.row import Row
from benchmarks.store import Store

UNKNOWN = 15.0  # seconds of a round of a row that was never timed
QUICK_SECONDS = 170.0
# The rows of `--quick`, most important first, as many as fit. A row that shares another row's run follows that row: its
# own expected time is almost zero.
QUICK = (
    "pipeline_capture_to_detection", "detector_auto_time", "rtp_good_loss_5_retransmission", "camera_fps_640x480",
    "camera_cpu_640x480", "transport_share_1920x1080", "startup_first_frame", "rtp_latency_640x480", "rtp_cpu_640x480",
)  # fmt: skip


def expected(name: str, rounds: int, *known: dict[str, RowResult]) -> float:
    """Expected duration of a row in seconds, from the first of these results that has its duration."""
    for rows in known:
        row = rows.get(name)
        if row is not None and row.seconds and row.rounds:
            return rounds * row.seconds / len(row.rounds)
    return rounds * UNKNOWN


def chosen(rows: list[Row], some: bool, run: Store, fresh: bool) -> list[Row]:
    """The requested rows; when an interrupted run of all rows resumes, the rows still pending."""
    if fresh or some or not run.pending:
        return rows
    return [row for row in rows if row.name in run.pending]


def quick(rows: list[Row], *known: dict[str, RowResult]) -> list[Row]:
    """As many of ``QUICK`` as fit into three minutes with one round each; if none is there, all ``rows``."""
    by_name = {row.name: row for row in rows}
    if not any(name in by_name for name in QUICK):  # asked for by name
        return rows
    taken, left = [], QUICK_SECONDS
    for name in QUICK:
        cost = expected(name, 1, *known)
        if name in by_name and cost <= left:
            taken.append(by_name[name])
            left -= cost
    return taken


def duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
