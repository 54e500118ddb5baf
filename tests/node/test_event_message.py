"""The event message as built in the workspace: over real DDS, with the type hash of its definition."""

from __future__ import annotations

import json
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from edgecam_ros.conversions import header_to_ros, stamp_from_ns
from ros_peer import Peer
from vision_msgs.msg import BoundingBox2D, Point2D, Pose2D
from waiting import wait_until

from edgecam_msgs.msg import Event

SHARE = Path(get_package_share_directory("edgecam_msgs"))


def test_an_event_is_received_over_dds(peer: Peer) -> None:
    sent = Event(
        header=header_to_ros(1_700_000_003_000_000_000, "lens"),
        id="0001-sofa",
        state=Event.BEGIN,
        rule="dog-on-sofa",
        kind="stays",
        zone="sofa",
        label="dog",
        score=0.5,
        bbox=BoundingBox2D(center=Pose2D(position=Point2D(x=3.0, y=4.0)), size_x=2.0, size_y=1.0),
        start=stamp_from_ns(1_700_000_000_000_000_000),
        snapshot="snapshots/0001-sofa.jpg",
    )
    got: list[Event] = []
    peer.node.create_subscription(Event, "/events", got.append, 10)
    publisher = peer.node.create_publisher(Event, "/events", 10)
    wait_until(publisher.get_subscription_count, what="the subscription")
    publisher.publish(sent)
    wait_until(lambda: got, what="the event")
    assert got[0] == sent
    assert (Event.BEGIN, Event.END) == ("begin", "end")


def test_the_type_hash_changes_only_on_purpose() -> None:
    """Nodes with another definition do not receive each other's messages; CHANGELOG.md must say so."""
    described = json.loads((SHARE / "msg" / "Event.json").read_text())
    hashes = {row["type_name"]: row["hash_string"] for row in described["type_hashes"]}
    assert hashes["edgecam_msgs/msg/Event"] == "RIHS01_eb168d706678c944db656f2c2e00386c6c2e3f1eda1b710b41fd88f81b618340"
