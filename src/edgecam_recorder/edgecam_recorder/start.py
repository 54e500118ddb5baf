"""The programs of this package. Imports little: see edgecam_ros.starting."""

from __future__ import annotations

from edgecam_ros.starting import start


def recorder() -> int:
    return start("edgecam_recorder.node")
