"""The programs of this package. Imports little: see edgecam_ros.starting."""

from __future__ import annotations

from edgecam_ros.starting import start


def camera() -> int:
    return start("edgecam_camera.node")


def cameras() -> int:
    return start("edgecam_camera.cameras")
