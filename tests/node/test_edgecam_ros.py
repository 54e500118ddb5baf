"""edgecam_ros: conversions as round trips, parameters from tables, the life cycle of a node as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import forked
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from edgecam_core.errors import EdgecamError, ImageError
from edgecam_core.media.encodings import ENCODINGS
from edgecam_core.types import Detections, Frame
from edgecam_ros.detections import detections_from_ros, detections_to_ros
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
from ros_peer import Peer
from sensor_msgs.msg import Image
from waiting import wait_until

from edgecam_ros import conversions

BLINK = """
    import sys
    from dataclasses import dataclass
    from edgecam_core.errors import ModelError, SettingError, SourceError
    from edgecam_core.settings import Settings, setting
    from edgecam_ros.diagnostics import Status
    from edgecam_ros.main import run
    from edgecam_ros.node import EdgecamNode

    @dataclass(frozen=True, kw_only=True)
    class BlinkSettings(Settings):
        rate: float = setting(1.0, "How often to blink.", low=0.1, high=10.0, unit="Hz", runtime=True)
        colour: str = setting("red", "Which lamp.", choices=("red", "green"))
        names: tuple[str, ...] = setting((), "Whose.", runtime=True)
        refuse: str = setting("", "Which error open() raises.")

    class Blink(EdgecamNode[BlinkSettings]):
        settings_type = BlinkSettings
        attempts = 0
        def __init__(self):
            super().__init__("blink")
        def open(self):
            self.attempts += 1
            print("open", flush=True)
            if self.settings.refuse == "model":
                raise ModelError("no such model")
            if self.settings.refuse == "source" and self.attempts < 2:
                raise SourceError("not there yet")
        def start(self):
            print("start", flush=True)
        def stop(self):
            print("stop", flush=True)
        def close(self):
            print("close", flush=True)
        def apply(self, old, new):
            if new.rate == 7.0:
                raise SettingError("rate", 7.0, "is unlucky; take 8")
        def report(self):
            return Status(values={"rate": self.settings.rate, "share": 1 / 3})

    sys.exit(run(Blink))
"""


class BlinkProcess:
    """The blink node as a separate process whose output is collected."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        script = folder / "blink.py"
        script.write_text(textwrap.dedent(BLINK))
        self.output = folder / "output.txt"
        with self.output.open("w") as out:
            self.process = forked.Popen(
                [sys.executable, str(script), "--ros-args", *arguments],
                stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )  # fmt: skip

    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, line: str) -> None:
        wait_until(lambda: line in self.text(), 120, f"{line!r} in {self.text()!r}")

    def stop(self, number: int = signal.SIGINT) -> int:
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)
        return self.process.wait(120)


@pytest.fixture
def blink(tmp_path: Path):
    started: list[BlinkProcess] = []

    def start(*arguments: str) -> BlinkProcess:
        started.append(BlinkProcess(tmp_path, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.stop(signal.SIGKILL)


@pytest.mark.parametrize("name", sorted(ENCODINGS))
def test_image_round_trip(name: str) -> None:
    row = ENCODINGS[name]
    shape = (row.stored_rows(6), 8) + ((row.channels,) if row.channels > 1 else ())
    pixels = np.random.default_rng(1).integers(0, 256, shape).astype(row.dtype)
    frame = Frame.from_array(pixels, name, stamp_ns=1_700_000_000_123_456_789, frame_id="lens")
    message = conversions.image_to_ros(frame)
    assert (message.width, message.height, message.encoding, message.step) == (8, 6, name, frame.step)
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1_700_000_000, 123_456_789)
    back = conversions.image_from_ros(message)
    assert (back.array() == pixels).all()
    assert (back.stamp_ns, back.frame_id) == (frame.stamp_ns, "lens")


def test_padded_rows_keep_their_step() -> None:
    data = np.arange(2 * 16, dtype=np.uint8)
    message = conversions.image_to_ros(Frame(4, 2, "bgr8", 16, data))
    assert message.step == 16
    assert (conversions.image_from_ros(message).array()[1, 0] == [16, 17, 18]).all()


def test_foreign_encodings_go_through_cv_bridge() -> None:
    message = Image(width=2, height=1, encoding="bgr16", step=12, data=np.arange(6, dtype="<u2").tobytes())
    frame = conversions.image_from_ros(message)
    assert (frame.encoding, frame.array().shape) == ("bgr8", (1, 2, 3))


def test_opencv_type_names_have_opencvs_meaning() -> None:
    message = Image(width=2, height=1, encoding="8UC3", step=6, data=[1, 2, 3, 4, 5, 6])
    frame = conversions.image_from_ros(message)
    assert frame.encoding == "bgr8"
    assert frame.array().tolist() == [[[1, 2, 3], [4, 5, 6]]]


@pytest.mark.parametrize(
    "message",
    [
        Image(width=2, height=2, encoding="bgr8", step=6, data=[0] * 11),
        Image(width=0, height=0, encoding="bgr8", step=0),
        Image(width=2, height=1, encoding="klingon8", step=6, data=[0] * 6),
    ],
)
def test_impossible_images_are_refused(message: Image) -> None:
    with pytest.raises(ImageError):
        conversions.image_from_ros(message)


def test_a_time_that_ros_cannot_represent_is_refused_and_never_wraps() -> None:
    last = 2**31 * 10**9 - 1
    for stamp_ns in (0, 1, last, -1, -(2**31) * 10**9):
        assert conversions.ns_from_stamp(conversions.stamp_from_ns(stamp_ns)) == stamp_ns
    for stamp_ns in (last + 1, 2**32 * 10**9, 2**62, -(2**31) * 10**9 - 1):
        with pytest.raises(EdgecamError, match="2038"):
            conversions.header_to_ros(stamp_ns, "lens")


def test_detections_round_trip() -> None:
    found = Detections(
        np.array([[10, 20, 110, 60], [0, 0, 1, 1]], np.float32),
        np.array([0.9, 0.25], np.float32), np.array([1, 0], np.int32), ("cat", "dog"), ("7", "8"),
    )  # fmt: skip
    header = conversions.header_to_ros(5_000_000_001, "lens")
    message = detections_to_ros(found, header)
    assert message.header == header
    assert [one.header for one in message.detections] == [header, header]
    assert message.detections[0].results[0].hypothesis.class_id == "dog"
    assert message.detections[0].bbox.center.position.x == 60.0
    assert (message.detections[0].bbox.size_x, message.detections[0].bbox.size_y) == (100.0, 40.0)
    back = detections_from_ros(message)
    assert [(d.label, d.box, d.track_id) for d in back] == [(d.label, d.box, d.track_id) for d in found]
    indexed = detections_to_ros(found, header, "index")
    assert detections_from_ros(indexed)[0].class_id == 1


def test_nothing_found_is_an_empty_array() -> None:
    nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32), ("cat",))
    assert detections_to_ros(nothing, conversions.header_to_ros(1, "lens")).detections == []


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("rate:=30", "parameter 'rate' is 30.0: must be 0.1 to 10 Hz"),
        ("rate:=abc", "parameter 'rate' is 'abc': must be of type double"),
        ("colour:=blue", "parameter 'colour' is 'blue': must be one of red, green"),
        ("rates:=3", "parameter 'rates' does not exist: did you mean rate or names?"),
    ],
)
def test_a_bad_parameter_ends_the_node_before_it_starts(blink, argument: str, message: str) -> None:
    node = blink("-p", argument)
    assert node.process.wait(120) == 2
    assert node.text() == f"error: {message}\n"


@pytest.mark.parametrize("given", ["5", "5.0", "[]", "file"])
def test_an_integer_is_accepted_for_a_double(blink, peer: Peer, tmp_path: Path, given: str) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("/**:\n  ros__parameters:\n    rate: 5\n    names: []\n")
    blink(*{"file": ("--params-file", str(file)), "[]": ("-p", "rate:=5", "-p", "names:=[]")}.get(
        given, ("-p", f"rate:={given}")
    )).wait_for("start")  # fmt: skip
    values = peer.call(GetParameters, "/blink/get_parameters", GetParameters.Request(names=["rate", "names"])).values
    assert (values[0].type, values[0].double_value) == (ParameterType.PARAMETER_DOUBLE, 5.0)
    assert (values[1].type, list(values[1].string_array_value)) == (ParameterType.PARAMETER_STRING_ARRAY, [])


def test_a_permanent_error_ends_the_node(blink) -> None:
    node = blink("-p", "refuse:=model")
    assert node.process.wait(120) == 1
    assert node.text().splitlines() == ["open", "close", "error: no such model"]
    assert "Traceback" not in node.text()


def test_a_temporary_error_is_retried(blink) -> None:
    node = blink("-p", "refuse:=source")
    node.wait_for("start")
    assert node.text().count("open") == 2
    assert node.text().count("not there yet") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_cleanly(blink, number: int) -> None:
    node = blink("-p", "rate:=3")
    node.wait_for("start")
    assert node.stop(number) == 0
    assert node.text().split() == ["open", "start", "stop", "close"]


def set_parameter(peer: Peer, **value: object) -> tuple[bool, str]:
    ((name, given),) = value.items()
    value_of = {
        float: lambda: ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=given),
        int: lambda: ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=given),
        str: lambda: ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=given),
        list: lambda: ParameterValue(type=ParameterType.PARAMETER_STRING_ARRAY, string_array_value=given),
    }
    parameter = Parameter(name=name, value=value_of[type(given)]())
    result = peer.call(SetParameters, "/blink/set_parameters", SetParameters.Request(parameters=[parameter]))
    return result.results[0].successful, result.results[0].reason


def test_parameters_over_ros(blink, peer: Peer) -> None:
    blink("-p", "rate:=3").wait_for("start")
    described = peer.call(
        DescribeParameters, "/blink/describe_parameters", DescribeParameters.Request(names=["rate", "colour", "names"])
    ).descriptors
    assert described[0].description == "How often to blink."
    assert described[0].additional_constraints == "0.1 to 10 Hz"
    assert [one.read_only for one in described] == [False, True, False]
    (limits,) = described[0].floating_point_range
    assert (limits.from_value, limits.to_value) == (0.1, 10.0)
    assert not any(one.dynamic_typing for one in described)
    assert set_parameter(peer, rate=4) == (True, "")  # an integer for a double
    assert set_parameter(peer, rate="abc") == (False, "parameter 'rate' is 'abc': must be of type double")
    assert set_parameter(peer, rat=5.0) == (False, "parameter 'rat' does not exist: did you mean rate?")
    assert set_parameter(peer, names=["a", "b"]) == (True, "")
    again = peer.call(
        DescribeParameters, "/blink/describe_parameters", DescribeParameters.Request(names=["rate", "colour", "names"])
    )
    assert again.descriptors == described  # neither refused nor accepted values change it
    kept = peer.call(GetParameters, "/blink/get_parameters", GetParameters.Request(names=["rate"])).values[0]
    assert (kept.type, kept.double_value) == (ParameterType.PARAMETER_DOUBLE, 4.0)
    assert set_parameter(peer, rate=5.0) == (True, "")
    assert set_parameter(peer, rate=50.0) == (False, "parameter 'rate' is 50.0: must be 0.1 to 10 Hz")
    assert set_parameter(peer, rate=7.0) == (False, "parameter 'rate' is 7.0: is unlucky; take 8")
    assert set_parameter(peer, colour="green") == (
        False,
        "parameter 'colour' is 'green': cannot change while the node runs; restart the node with the new value",
    )
    values = peer.call(GetParameters, "/blink/get_parameters", GetParameters.Request(names=["rate", "colour"])).values
    assert (values[0].double_value, values[1].string_value) == (5.0, "red")


def test_diagnostics_follow_the_state(blink, peer: Peer) -> None:
    reports = peer.collect(DiagnosticArray, "/diagnostics")
    node = blink("-p", "autostart:=false", "-r", "__ns:=/left")
    idle = wait_until(lambda: reports and reports[-1].status[0], what="diagnostics")
    assert (idle.name, idle.message, idle.level) == ("left/blink", "unconfigured", b"\x03")
    assert node.text() == ""
    for transition in (1, 3):  # configure, activate
        request = ChangeState.Request()
        request.transition.id = transition
        assert peer.call(ChangeState, "/left/blink/change_state", request).success
    assert peer.call(GetState, "/left/blink/get_state", GetState.Request()).current_state.label == "active"
    running = wait_until(lambda: reports[-1].status[0].level == b"\x00" and reports[-1].status[0], what="an OK status")
    values = {value.key: value.value for value in running.values}
    assert {"rate": "1", "share": "0.333"}.items() <= values.items()
    assert float(values["memory_mb"]) > 10
    assert float(values["cpu_percent"]) >= 0
    assert int(values["pid"]) > 1
    assert running.hardware_id == "blink"
