"""Shared by the node tests: a separate DDS domain and a peer node."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from edgecam_ros.starting import apply_profile
from network import free_domain

# Before rclpy is imported anywhere: the tests must not discover other machines or other test runs.
os.environ["ROS_DOMAIN_ID"] = str(free_domain())
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
# As in the launch files: with default settings most 640x480 frames are lost between two processes.
os.environ["FASTDDS_DEFAULT_PROFILES_FILE"] = str(Path(__file__).resolve().parents[2] / "config" / "fastdds.xml")
apply_profile(os.environ)

import rclpy  # noqa: E402 - after the environment
from browser import browser, page, tab  # noqa: E402, F401
from ros_peer import Peer  # noqa: E402
from underlay_only import ignored  # noqa: E402

collect_ignore_glob = ignored()


@pytest.fixture(scope="session", autouse=True)
def ros() -> Iterator[None]:
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()
