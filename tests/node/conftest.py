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
from edgecam_ros.ending import bounded  # noqa: E402
from ros_peer import Peer  # noqa: E402
from underlay_only import ignored  # noqa: E402
from viewer_process import ViewerProcess  # noqa: E402
from viewer_scene import ViewerScene  # noqa: E402

collect_ignore_glob = ignored()


@pytest.fixture(scope="session", autouse=True)
def ros() -> Iterator[None]:
    rclpy.init()
    yield
    with bounded():
        rclpy.try_shutdown()


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture(scope="module")
def scene() -> Iterator[ViewerScene]:
    """A simulated camera and detector for the tests of a module."""
    with ViewerScene("/camera") as scene:
        yield scene


@pytest.fixture(scope="module")
def viewer(
    scene: ViewerScene, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[ViewerProcess]:
    """A viewer of the scene for the tests of a module, with the parameters in its VIEWER, if it has any."""
    parameters = getattr(request.module, "VIEWER", ())
    with ViewerProcess(tmp_path_factory.mktemp("viewer"), "port:=0", *parameters) as viewer:
        yield viewer
