"""Detects nodes with the same name in one domain by host and process id in their diagnostics. Uses no ROS."""

from __future__ import annotations

from collections.abc import Mapping

TOGETHER = 3.0  # seconds; nodes report once a second; a restarted node has a new process id


class DuplicateNodes:
    """Finds names under which more than one process reports. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[tuple[str, str], tuple[float, float]]] = {}

    def add(self, name: str, values: Mapping[str, str], now: float) -> None:
        """One diagnostics status of a node, with its values ``host`` and ``pid``; without a ``pid`` it is ignored."""
        if "pid" not in values:
            return
        processes = self._seen.setdefault(name.lstrip("/"), {})
        process = (values.get("host", "unknown host"), values["pid"])
        first, _ = processes.get(process, (now, now))
        processes[process] = (first, now)
        for known, (_, last) in list(processes.items()):
            if now - last > TOGETHER:
                del processes[known]

    def found(self, now: float) -> dict[str, list[str]]:
        """Each such name with its processes as ``host (pid 7)``; a restarted node is not a duplicate."""
        found = {}
        for name, processes in sorted(self._seen.items()):
            current = {process: times for process, times in processes.items() if now - times[1] <= TOGETHER}
            # After a restart, the old process stopped reporting before the new one's first report.
            latest_start = max((first for first, _ in current.values()), default=0.0)
            together = sorted(process for process, (_, last) in current.items() if last >= latest_start)
            if len(together) > 1:
                found[name] = [f"{host} (pid {pid})" for host, pid in together]
        return found


def duplicate_text(name: str, processes: list[str]) -> str:
    """One line for the user."""
    return f"{len(processes)} nodes are named /{name}: {', '.join(processes)}; their topics mix"
