"""A launch ends completely if a node fails, with the reason; launch arguments arrive as typed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from launched import START, Launched
from waiting import wait_until

QUIET = ("viewer:=false",)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            ("camera.launch.xml", "source:=bogus://x"),
            "[camera_node-1] ended with exit code 1: error: parameter 'source'",
        ),
        (("camera.launch.xml", "source:=file:///no/such.mp4"), "error: parameter 'source' is 'file:///no/such.mp4': "),
        (("detector.launch.xml", "model:=/no/such.onnx"), "/no/such.onnx"),
        (("pipeline.launch.xml", *QUIET, "port:=80800"), "exit code 2: error: parameter 'port' is 80800: must be"),
        (("viewer.launch.xml", "port:=eighty"), "exit code 2: error: parameter 'port' is 'eighty'"),
        (("rtp_sender.launch.xml", "log_level:=loud"), "[rtp_sender_node-1] ended with exit code 2: error: "),
    ],
)
def test_a_bad_argument_ends_the_launch_and_its_one_clear_line_is_also_the_last(
    launch: Callable[..., Launched], arguments: tuple[str, ...], reason: str
) -> None:
    launched = launch(*arguments)
    assert launched.process.wait(START) == 0  # as the real ros2 launch, which has no other exit code if a node ends
    text = launched.text()
    last = text.splitlines()[-1]
    assert last.startswith("[ERROR] [launch]: the launch has ended because process[")
    assert reason in last
    process, error = re.search(r"process(\[\S+\]) .*(error: .*)", last).groups()  # type: ignore[union-attr]
    assert text.count(f"\n{process} {error}") == 1
    assert "process has died" in text
    assert "Traceback" not in text
    assert not launched.orphans()


def test_with_respawn_the_other_nodes_continue(launch: Callable[..., Launched]) -> None:
    launched = launch("pipeline.launch.xml", *QUIET, "rtp:=false", "source:=bogus://x", "respawn:=true")
    wait_until(lambda: launched.text().count("process has died") > 1, START, "the second start")
    assert launched.process.poll() is None
    assert launched.stop() == 0


def test_a_camera_of_the_list_that_fails_ends_the_launch(launch: Callable[..., Launched], tmp_path: Path) -> None:
    cameras = [{"camera_name": "left", "source": "test://smpte"}, {"camera_name": "right", "source": "file:///no.mp4"}]
    listed = tmp_path / "a list.yaml"
    listed.write_text(json.dumps({"cameras": [*cameras[:1], {**cameras[1], "calibration": 1}]}))
    refused = launch("cameras.launch.xml", f"cameras_file:={listed}")
    assert refused.process.wait(START) == 1
    assert "did you mean" in refused.text() or "parameter 'calibration' does not exist" in refused.text()


HOSTILE = [
    """pipeline:videotestsrc is-live=true ! textoverlay text="hello \\"you\\"" ! video/x-raw,format="I420",width=64""",
    r"""pipeline:videotestsrc is-live=true ! textoverlay text="it's C:\new\t # {a: b} !" ! video/x-raw,width=64""",
    "pipeline:videotestsrc is-live=true ! textoverlay text='it is \\\\ 100 % \u00e9' ! video/x-raw,width=64",
]


@pytest.mark.parametrize("source", HOSTILE)
def test_quotes_and_backslashes_of_a_source_arrive_unchanged(launch: Callable[..., Launched], source: str) -> None:
    launched = launch("camera.launch.xml", f"source:={source}", "respawn:=true")
    launched.wait_for(r"process started|process has died")
    assert launched.observer.parameter("/camera/camera_driver", "source") == source
    assert launched.observer.parameter("/camera/camera_driver", "camera_info_url") == ""


def test_a_number_given_as_text_stays_text(launch: Callable[..., Launched]) -> None:
    launched = launch("detector.launch.xml", "labels:=007", "respawn:=true")
    assert launched.observer.parameter("/camera/detector", "labels") == "007"
