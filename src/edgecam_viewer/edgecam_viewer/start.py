"""The programs of this package. Imports little: see edgecam_ros.starting."""

from __future__ import annotations

from edgecam_ros.starting import start


def viewer() -> int:
    return start("edgecam_viewer.node")


def monitor() -> int:
    return start("edgecam_viewer.monitor_node")
