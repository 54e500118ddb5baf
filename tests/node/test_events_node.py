"""The events node over real DDS: detections and frames in; events, snapshots, clips and an index out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from edgecam_core.errors import SettingError
from edgecam_core.events.clips import jpeg_frames
from edgecam_core.events.index import EventIndex
from edgecam_core.types import Detections
from edgecam_events.node import EventsNode
from edgecam_ros.conversions import header_to_ros, ns_from_stamp
from edgecam_ros.detections import detections_to_ros
from edgecam_ros.qos import image_qos, latched_qos
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from ros_peer import Peer
from running import running
from sensor_msgs.msg import CameraInfo, CompressedImage
from vision_msgs.msg import Detection2DArray, LabelInfo, VisionClass
from waiting import wait_until

from edgecam_msgs.msg import Event

SECOND, STEP = 10**9, 10**8
ZONE = "left: 0,0 0.5,0 0.5,1 0,1"


class EventsScene:
    """An events node in ``/camera``, and a peer that acts as its camera and detector."""

    def __init__(self, peer: Peer, node: EventsNode, folder: Path) -> None:
        self.peer, self.node, self.folder = peer, node, folder
        self.events: list[Event] = peer.collect(Event, "/camera/events")
        self.reports: list[DiagnosticArray] = peer.collect(DiagnosticArray, "/diagnostics")
        create = peer.node.create_publisher
        self.images = create(CompressedImage, "/camera/image_raw/compressed", image_qos(50))
        self.infos = create(CameraInfo, "/camera/camera_info", image_qos())
        self.detections = create(Detection2DArray, "/camera/detections", 10)
        self._stamps = itertools.count(1_700_000_000 * SECOND, STEP)
        wait_until(self.detections.get_subscription_count, what="the node's subscription")
        wait_until(lambda: peer.node.count_publishers("/camera/events"), what="the node's publisher")

    def image(self, stamp: int, brightness: int) -> None:
        pixels = np.full((120, 160, 3), brightness, np.uint8)
        data = cv2.imencode(".jpg", pixels)[1].tobytes()
        self.images.publish(CompressedImage(header=header_to_ros(stamp, "lens"), format="jpeg", data=data))

    def found(self, stamp: int, *places: float, track: str = "1") -> None:
        """Dogs with their centre at these x, as fractions of the image."""
        count = len(places)
        boxes = np.array([[160 * x - 10, 50, 160 * x + 10, 70] for x in places], np.float32).reshape(-1, 4)
        scores, classes = np.full(count, 0.75, np.float32), np.zeros(count, np.int32)
        tracks = tuple(track and f"{track}{number}" for number in range(count))
        found = Detections(boxes, scores, classes, ("dog",), tracks)
        self.detections.publish(detections_to_ros(found, header_to_ros(stamp, "lens")))

    def see(self, *places: float, brightness: int = 100, images: bool = True, track: str = "1") -> int:
        stamp = next(self._stamps)
        if images:
            self.image(stamp, brightness)
        self.found(stamp, *places, track=track)
        return stamp

    def until_event(self, state: str, *places: float, **fields: object) -> Event:
        """Send frames until there is a new event with this state."""
        before = len(self.events)

        def new_event() -> Event | None:
            self.see(*places, **fields)  # type: ignore[arg-type]
            return next((one for one in self.events[before:] if one.state == state), None)

        return wait_until(new_event, what=f"the {state} of an event")

    def status(self) -> DiagnosticStatus | None:
        found = [one for array in self.reports for one in array.status if one.name == "camera/events"]
        return found[-1] if found else None

    def until_status(self, text: str, images: bool = True, level: bytes | None = None) -> DiagnosticStatus:
        def reported() -> DiagnosticStatus | None:
            self.see(0.75, images=images)
            status = self.status()
            return status if status and text in status.message and level in (None, status.level) else None

        return wait_until(reported, what=f"a status with {text!r}")


@contextmanager
def scene(peer: Peer, folder: Path, **parameters: object) -> Iterator[EventsScene]:
    given = {
        "events_directory": str(folder), "zones": [ZONE], "rules": ["dog-left: dog enters left"],
        "pre_roll": 1.0, "post_roll": 0.2, "lost_after": 0.5, "min_free_megabytes": 0.0, **parameters,
    }  # fmt: skip
    overrides = [Parameter(name, value=value) for name, value in given.items()]
    node = EventsNode(namespace="/camera", parameter_overrides=overrides)
    with running(node):
        yield EventsScene(peer, node, folder)


def test_an_event_has_a_snapshot_and_a_clip_with_pre_roll(peer: Peer, tmp_path: Path) -> None:
    with scene(peer, tmp_path) as one:
        begun = one.until_event("begin", 0.25, brightness=10)  # the first frames may come before the subscriptions
        one.until_event("end", 0.75, brightness=60)
        wait_until(lambda: one.node._keeper.footage.megabytes, what="coded frames")  # type: ignore[union-attr]
        for _ in range(12):
            one.see(0.75, brightness=60)
        event = one.until_event("begin", 0.25, brightness=200)
        ended = one.until_event("end", 0.75, brightness=100)
        index = EventIndex(tmp_path)

        def clip() -> Path | None:
            one.see(0.75)
            return index.path(event.id, "clip")

        path = wait_until(clip, what="the clip")
    assert begun.id != event.id == ended.id
    assert (event.rule, event.kind, event.zone, event.label, event.camera) == (
        "dog-left",
        "enters",
        "left",
        "dog",
        "camera",
    )
    assert event.header.frame_id == "lens"
    assert event.bbox.center.position.x == pytest.approx(40)
    assert event.start == event.header.stamp == ended.start
    assert ns_from_stamp(ended.header.stamp) > ns_from_stamp(event.start)
    shown = [int(cv2.imdecode(np.frombuffer(data, np.uint8), 0).mean()) for _, data in jpeg_frames(path)]
    assert abs(shown[0] - 60) < 3, "pre-roll: before the dog enters"
    assert any(abs(value - 200) < 3 for value in shown)
    assert abs(shown[-1] - 100) < 3, "post-roll"
    row = index.event(event.id) or pytest.fail("not in the index")
    assert (row.start_ns, row.end_ns) == (ns_from_stamp(event.start), ns_from_stamp(ended.header.stamp))
    assert (row.clip, row.snapshot) == (ended.clip, event.snapshot)


def test_a_snapshot_shows_the_frame_of_its_event_with_the_box(peer: Peer, tmp_path: Path) -> None:
    with scene(peer, tmp_path, clip="none") as one:
        index = EventIndex(tmp_path)

        def box_drawn() -> bool:  # images are sent as best effort: where that of the event is lost, another is stored
            event = one.until_event("begin", 0.25, brightness=200)
            one.until_event("end", 0.75, brightness=60)
            snapshot = cv2.imread(str(wait_until(lambda: index.path(event.id, "snapshot"), what="the snapshot")))
            if abs(int(snapshot[100, 150].mean()) - 200) >= 3:
                return False
            return bool(np.abs(snapshot[45:75, 25:55].astype(int) - 200).max() > 60)

        wait_until(box_drawn, what="a snapshot with the box")


def test_zones_and_rules_change_while_it_runs(peer: Peer, tmp_path: Path) -> None:
    with scene(peer, tmp_path, rules=["a: cat absent 1h"]) as one:
        rows = {"zones": ["right: 0.5,0 1,0 1,1 0.5,1"], "rules": ["dog-right: dog enters right"]}
        request = SetParametersAtomically.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg() for name, value in rows.items()]
        )
        done = peer.call(SetParametersAtomically, "/camera/events/set_parameters_atomically", request)
        assert done.result.successful, done.result.reason
        assert one.until_event("begin", 0.75).rule == "dog-right"
        bad = SetParametersAtomically.Request(
            parameters=[Parameter("zones", value=["right: 0,0 7,0 1,1"]).to_parameter_msg()]
        )
        done = peer.call(SetParametersAtomically, "/camera/events/set_parameters_atomically", bad)
        assert not done.result.successful
        assert "point '7,0' is outside the image" in done.result.reason
        assert one.until_event("end", 0.25).rule == "dog-right", "the old rules stay"


def test_the_status_names_what_is_missing(peer: Peer, tmp_path: Path) -> None:
    with scene(peer, tmp_path) as one:
        wait_until(lambda: (s := one.status()) and "no detections on /camera/detections" in s.message)
        status = one.until_status("the image size is unknown", images=False)
        assert status.level == DiagnosticStatus.WARN
        one.infos.publish(CameraInfo(width=160, height=120))
        one.until_status("no image on /camera/image_raw/compressed: events have no snapshot and no clip", images=False)
        event = one.until_event("begin", 0.25, images=False)
        assert (event.snapshot != "", event.clip) == (True, "")
        one.until_status("events")


def test_detections_without_ids_are_tracked_here_and_it_is_reported(peer: Peer, tmp_path: Path) -> None:
    with scene(peer, tmp_path) as one:
        event = one.until_event("begin", 0.25, track="")
        assert event.track_id.endswith("*")

        def reported() -> bool:
            one.see(0.25, track="")
            status = one.status()
            return bool(status and "have no track id" in status.message)

        wait_until(reported, what="the warning")


def test_a_class_that_the_detector_lacks_is_reported(peer: Peer, tmp_path: Path) -> None:
    with scene(peer, tmp_path, rules=["a: dgo|dog enters left"]) as one:
        one.until_status("events")
        rows = [VisionClass(class_id=number, class_name=name) for number, name in enumerate(("Dog", "cat"))]
        peer.node.create_publisher(LabelInfo, "/camera/label_info", latched_qos()).publish(LabelInfo(class_map=rows))
        one.until_status("rule 'a': the detector has no class 'dgo'; it has dog")


def test_a_full_disk_is_an_error_and_events_are_published(peer: Peer, tmp_path: Path) -> None:
    with scene(peer, tmp_path, min_free_megabytes=1e8) as one:
        event = one.until_event("begin", 0.25)
        # In the second of the error it may be a warning, as every exception of a thread.
        one.until_status("parameter 'min_free_megabytes' is 1e+08", level=DiagnosticStatus.ERROR)
        wait_until(lambda: EventIndex(tmp_path).event(event.id), what="the event in the index")


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    given = {"events_directory": str(tmp_path / "file"), "autostart": False}
    node = EventsNode(namespace="/camera", parameter_overrides=[Parameter(k, value=v) for k, v in given.items()])
    try:
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert str(tmp_path / "file") in str(node.problem)
        (tmp_path / "file").unlink()
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    finally:
        node.trigger_shutdown()
        node.destroy_node()


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"zones": ["rear/left: 0,0 1,0 1,1"]}, "there is no such camera; there is only one"),
        ({"zones": ["rear/left: 0,0 1,0 1,1"], "cameras": ["front"]}, "there is no such camera; there is front"),
        ({"rules": ["a: dog enters kitchen"]}, "there is no zone 'kitchen'"),
        ({"pre_roll": 30.0, "max_clip": 20.0}, "must not be above max_clip"),
    ],
)
def test_wrong_settings_are_refused_with_the_reason(parameters: dict[str, object], reason: str) -> None:
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    with pytest.raises(SettingError, match=reason):
        EventsNode(parameter_overrides=overrides)
