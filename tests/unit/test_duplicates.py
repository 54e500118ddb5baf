"""Two nodes of one name are found by their processes; a restarted node is not a duplicate."""

from __future__ import annotations

from edgecam_ros.duplicates import DuplicateNodes, NodeProcess, duplicate_text, process_of


def report(found: DuplicateNodes, host: str, pid: int, *times: float) -> None:
    for now in times:
        found.add("camera/camera_driver", process_of({"host": host, "pid": str(pid)}), now)


def test_two_processes_that_report_in_turn_are_named_by_host() -> None:
    found = DuplicateNodes()
    for second in range(4):
        report(found, "jetson", 7, second)
        report(found, "desk", 9, second + 0.5)
    assert found.found(4.0) == {"camera/camera_driver": [NodeProcess("desk", "9"), NodeProcess("jetson", "7")]}
    text = duplicate_text("camera/camera_driver", found.found(4.0)["camera/camera_driver"])
    assert text == "2 nodes are named /camera/camera_driver: desk (pid 9), jetson (pid 7); their topics mix"


def test_one_node_and_one_that_was_started_again_are_no_duplicates() -> None:
    found = DuplicateNodes()
    report(found, "jetson", 7, 0.0, 1.0)
    report(found, "jetson", 8, 2.0, 3.0)
    assert found.found(3.0) == {}


def test_a_duplicate_that_is_gone_is_forgotten() -> None:
    found = DuplicateNodes()
    report(found, "desk", 9, 0.0, 1.0)
    report(found, "jetson", 7, 0.5, 1.5, 5.0, 6.0)
    assert found.found(6.0) == {}


def test_old_names_are_forgotten() -> None:
    found = DuplicateNodes()
    for second in range(1000):
        found.add(f"node{second}", NodeProcess("desk", "9"), second)
    assert len(found._seen) <= 4


def test_other_statuses_are_ignored() -> None:
    found = DuplicateNodes()
    found.add("joystick", process_of({}), 0.0)
    assert found.found(0.0) == {}
