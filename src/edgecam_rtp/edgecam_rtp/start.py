"""The programs of this package. Imports little: see edgecam_ros.starting."""

from __future__ import annotations

from edgecam_ros.starting import start


def sender() -> int:
    return start("edgecam_rtp.sender_node")


def receiver() -> int:
    return start("edgecam_rtp.receiver_node")
