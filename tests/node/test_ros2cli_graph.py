"""The underlay's ros2 command against a real graph. The expected text is that of ros2cli 0.36.1."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import forked
import pytest
import yaml
from network import free_domain
from ros2cli_commands import Commands

ROS2 = (sys.executable, "-m", "ros2cli")
COMMANDS = Commands()


@pytest.fixture(scope="module", autouse=True)
def scene() -> Iterator[None]:
    # A separate domain: the whole graph is compared, and nodes killed by earlier tests linger in theirs.
    session = os.environ["ROS_DOMAIN_ID"]
    os.environ["ROS_DOMAIN_ID"] = str(free_domain(1))
    command = [sys.executable, str(Path(__file__).with_name("ros2cli_scene.py"))]
    process = forked.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    with COMMANDS:
        yield
    process.send_signal(signal.SIGINT)
    try:
        process.wait(120)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    os.environ["ROS_DOMAIN_ID"] = session


def ros2(*words: str, code: int = 0) -> str:
    """Run a command to its end; returns its output, or stderr if it is expected to fail."""
    found, output, errors = COMMANDS.run(*words)
    assert found == code, output + errors
    return output if code == 0 else errors


def refused(*words: str) -> str:
    """The stderr of a command whose request the node refused; like the real one, it ends with 0."""
    code, output, errors = COMMANDS.run(*words)
    assert (code, output) == (0, ""), output + errors
    return errors


def ros2_until(pattern: str, *words: str) -> tuple[re.Match[str], int]:
    """Run a command until a line of its output matches, then Ctrl-C; returns the match and the exit code."""
    process = forked.Popen([*ROS2, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    seen = []
    try:
        for line in process.stdout:
            seen.append(line)
            match = re.search(pattern, line)
            if match:
                process.send_signal(signal.SIGINT)
                return match, process.wait(120)
    finally:
        process.kill()
        process.wait()
    raise AssertionError(f"{pattern!r} not in:\n{''.join(seen)}")


def test_lists() -> None:
    topics = ros2("topic", "list", "-t").splitlines()
    assert "/cam/image_raw [sensor_msgs/msg/Image]" in topics
    assert "/rosout [rcl_interfaces/msg/Log]" in topics
    assert ros2("node", "list").splitlines() == ["/cam/life", "/cam/talker"]
    assert "/cam/switch [std_srvs/srv/SetBool]" in ros2("service", "list", "-t").splitlines()
    assert ros2("lifecycle", "nodes") == "/cam/life\n"


def test_topic_info_and_types() -> None:
    assert ros2("topic", "info", "/cam/hear") == (
        "Type: std_msgs/msg/Header\nPublisher count: 0\nSubscription count: 1\n"
    )
    assert "Reliability: BEST_EFFORT" in ros2("topic", "info", "-v", "/cam/text")
    assert ros2("topic", "info", "/nope", code=1) == "Unknown topic '/nope'\n"
    assert ros2("topic", "type", "/cam/text") == "std_msgs/msg/String\n"
    ros2("topic", "type", "/nope", code=1)
    assert ros2("service", "type", "/cam/switch") == "std_srvs/srv/SetBool\n"


def test_topics_of_a_type() -> None:
    assert ros2("topic", "find", "std_msgs/msg/String").splitlines() == ["/cam/text", "/cam/word"]
    assert ros2("topic", "find", "-c", "std_msgs/msg/String") == "2\n"
    assert ros2("topic", "find", "zoo/msg/Lion") == ""


def test_services_of_a_type() -> None:
    assert ros2("service", "find", "std_srvs/srv/SetBool") == "/cam/switch\n"
    assert ros2("service", "find", "-c", "std_srvs/srv/SetBool") == "1\n"
    assert ros2("service", "find", "zoo/srv/Feed") == ""


def test_delay() -> None:
    match, code = ros2_until(r"average delay: ([\d.]+)", "topic", "delay", "/cam/image_raw")
    assert float(match.group(1)) > 1e9  # its stamp is 0
    assert code == signal.SIGINT
    assert ros2("topic", "delay", "/cam/text", code=1) == "msg does not have header\n"


def test_node_info() -> None:
    lines = ros2("node", "info", "/cam/talker").splitlines()
    assert lines[0] == "/cam/talker"
    sections = [line.strip() for line in lines if re.match("  [A-Z]", line)]
    assert sections == [
        "Subscribers:", "Publishers:", "Service Servers:", "Service Clients:", "Action Servers:", "Action Clients:",
    ]  # fmt: skip
    assert lines.index("    /cam/hear: std_msgs/msg/Header") < lines.index("  Publishers:")
    assert "    /cam/switch: std_srvs/srv/SetBool" in lines
    assert ros2("node", "info", "/nope", code=1) == "Unable to find node '/nope'\n"


def test_echo_matches_best_effort_and_transient_local_publishers() -> None:
    assert re.fullmatch(r"data: größe \d+\n---\n", ros2("topic", "echo", "--once", "/cam/text"))
    assert ros2("topic", "echo", "--once", "/cam/word") == "data: held\n---\n"
    assert ros2("topic", "echo", "--once", "/cam/word", "std_msgs/msg/String", "--field", "data") == "held\n---\n"


def test_echo_truncates_arrays() -> None:
    text = ros2("topic", "echo", "--once", "-l", "2", "/cam/image_raw")
    assert yaml.safe_load(text.removesuffix("---\n")) == {
        "header": {"stamp": {"sec": 0, "nanosec": 0}, "frame_id": ""},
        "height": 480, "width": 640, "encoding": "rg...", "is_bigendian": 0, "step": 1920, "data": [0, 0, "..."],
    }  # fmt: skip
    assert "data: '<sequence type: uint8, length: 921600>'" in ros2(
        "topic", "echo", "--once", "--no-arr", "/cam/image_raw"
    )
    assert ros2("topic", "echo", "--once", "--csv", "-l", "1", "/cam/image_raw") == "0,0,,480,640,r...,0,1920,0,...\n"


def test_echo_of_an_unknown_topic_or_type_fails() -> None:
    error = ros2("topic", "echo", "--once", "/nope", code=1)
    assert error == "Could not determine the type for the passed topic\n"
    assert "'foo/Bar' is invalid" in ros2("topic", "echo", "/cam/text", "foo/Bar", code=1)
    assert ros2("topic", "echo", "--timeout", "0.5", "/nope", "std_msgs/msg/String") == ""


def test_hz_of_raw_frames() -> None:
    """Received reliably and without deserialising; best effort would lose half of them without our DDS profile."""
    match, code = ros2_until(r"average rate: ([\d.]+)", "topic", "hz", "/cam/image_raw")
    assert float(match.group(1)) > 0
    assert code == signal.SIGINT


def test_bw() -> None:
    match, _ = ros2_until(r"Message size mean: ([\d.]+ \w+)", "topic", "bw", "/cam/image_raw")
    assert match.group(1) == "0.92 MB"


def test_pub_reaches_a_node_and_stamps_its_messages() -> None:
    echo = forked.Popen([*ROS2, "topic", "echo", "--once", "/cam/echoed"], stdout=subprocess.PIPE, text=True)
    pub = forked.Popen(
        [*ROS2, "topic", "pub", "-r", "10", "/cam/hear", "std_msgs/msg/Header", "{frame_id: here, stamp: now}"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        text, _ = echo.communicate(timeout=120)
    finally:
        pub.send_signal(signal.SIGINT)
        output, _ = pub.communicate(timeout=120)
        echo.kill()
    header = yaml.safe_load(text.removesuffix("---\n"))
    assert header["frame_id"] == "here"
    assert header["stamp"]["sec"] > 0
    assert output.startswith("publisher: beginning loop\npublishing #1: std_msgs.msg.Header(stamp=")
    assert pub.returncode == signal.SIGINT


def test_pub_once_waits_for_a_subscription() -> None:
    out = ros2("topic", "pub", "--once", "/cam/hear", "std_msgs/Header", "frame_id: x")
    assert out.endswith("publishing #1: std_msgs.msg.Header(stamp=builtin_interfaces.msg.Time(sec=0, nanosec=0), "
                        "frame_id='x')\n\n")  # fmt: skip
    words = ("topic", "pub", "--once", "/nobody", "std_msgs/Header", "--max-wait-time-secs", "0.2")
    assert ros2(*words, code=1).startswith("Timed out waiting for subscribers: Expected 1 subscribers but only got 0")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("[1]", "The passed value needs to be a dictionary in YAML format"),
        ("{fram_id: x}", "Failed to populate field: 'Header' has no field 'fram_id', it has: stamp, frame_id"),
        ("{stamp: 5}", "Failed to populate field: Value '5' is expected to be a dictionary but is a int"),
        ("{", "The passed value is not valid YAML"),
    ],
)
def test_pub_refuses_wrong_values(values: str, message: str) -> None:
    assert message in ros2("topic", "pub", "/cam/hear", "std_msgs/msg/Header", values, code=1)


def test_parameters() -> None:
    listed = ros2("param", "list", "/cam/talker").split()
    assert {"count", "fixed", "box.size", "box.names"} <= set(listed)
    assert "  count (type: integer)" in ros2("param", "list", "/cam/talker", "--param-type").splitlines()
    assert ros2("param", "get", "/cam/talker", "count") == "Integer value is: 4\n"
    assert ros2("param", "get", "/cam/talker", "box.names") == "String values are: ['a', 'b']\n"
    assert ros2("param", "get", "--hide-type", "cam/talker", "box.size") == "0.5\n"
    assert ros2("param", "get", "/cam/talker", "nope", code=1) == "Parameter not set\n"
    assert ros2("param", "get", "/nope", "nope", code=1) == "Node not found\n"
    assert ros2("param", "describe", "/cam/talker", "count") == (
        "Parameter name: count\n  Type: integer\n  Description: how many\n  Constraints:\n"
        "    Min value: 0\n    Max value: 10\n    Step: 2\n"
    )


def test_setting_and_dumping_parameters() -> None:
    assert ros2("param", "set", "/cam/talker", "box.size", "0.75") == "Set parameter successful\n"
    dumped = yaml.safe_load(ros2("param", "dump", "/cam/talker"))["/cam/talker"]["ros__parameters"]
    assert dumped["box"] == {"size": 0.75, "names": ["a", "b"]}
    assert ros2("param", "set", "/cam/talker", "box.size", "0.5") == "Set parameter successful\n"
    assert refused("param", "set", "/cam/talker", "fixed", "false").startswith("Setting parameter failed: ")
    assert refused("param", "set", "/cam/talker", "count", "5").startswith("Setting parameter failed: ")


def test_loading_parameters(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    words = ("param", "load", "/cam/talker", str(path))
    path.write_text(
        "/**:\n  ros__parameters:\n    first: 0.25\n/cam/talker:\n  ros__parameters:\n    deep: {second: [c]}\n"
        "/cam/other:\n  ros__parameters:\n    count: 8\n"
    )
    assert ros2(*words) == "Set parameter first successful\nSet parameter deep.second successful\n"
    assert ros2("param", "get", "/cam/talker", "first") == "Double value is: 0.25\n"
    assert ros2(*words, "--no-use-wildcard") == "Set parameter deep.second successful\n"
    path.write_text("/cam/talker:\n  ros__parameters:\n    count: 5\n")
    assert refused(*words).startswith("Set parameter count failed: ")
    for text in ("", "{", "/cam/talker: {}\n"):
        path.write_text(text)
        assert "Traceback" not in ros2(*words, code=1), text
    assert "cannot read parameter file" in ros2("param", "load", "/cam/talker", "/no/such.yaml", code=1)


def test_deleting_parameters() -> None:
    assert ros2("param", "delete", "/cam/talker", "spare") == "Deleted parameter successfully\n"
    assert "spare" not in ros2("param", "list", "/cam/talker")
    assert refused("param", "delete", "/cam/talker", "fixed").startswith("Deleting parameter failed")
    assert ros2("param", "delete", "/nope", "x", code=1) == "Node not found\n"


def test_lifecycle() -> None:
    assert ros2("lifecycle", "get", "/cam/life") == "unconfigured [1]\n"
    assert ros2("lifecycle", "list", "/cam/life").startswith(
        "- configure [1]\n\tStart: unconfigured\n\tGoal: configuring"
    )
    assert ros2("lifecycle", "set", "/cam/life", "activate", code=1) == (
        "Unknown transition requested, available ones are:\n- configure [1]\n- shutdown [5]\n"
    )
    assert ros2("lifecycle", "set", "/cam/life", "configure") == "Transitioning successful\n"
    assert ros2("lifecycle", "get") == "/cam/life: inactive [2]\n"
    assert ros2("lifecycle", "get", "/cam/talker", code=1) == "Node not found\n"


def test_service_call() -> None:
    out = ros2("service", "call", "/cam/switch", "std_srvs/srv/SetBool", "{data: true}")
    assert out.removeprefix("waiting for service to become available...\n") == (
        "requester: making request: std_srvs.srv.SetBool_Request(data=True)\n\n"
        "response:\nstd_srvs.srv.SetBool_Response(success=True, message='switched')\n\n"
    )
    assert "has no field 'dat'" in ros2("service", "call", "/cam/switch", "std_srvs/SetBool", "{dat: 1}", code=1)
    assert "'std_srvs/Nope' is invalid" in ros2("service", "call", "/cam/switch", "std_srvs/Nope", code=1)


def test_sigterm_ends_a_command_cleanly() -> None:
    process = forked.Popen(
        [*ROS2, "topic", "echo", "/cam/text"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("data: ")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == signal.SIGTERM
    assert "Traceback" not in errors


def test_a_closed_output_pipe_gives_no_traceback() -> None:
    command = f"{' '.join(ROS2)} topic echo /cam/text | head -n 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.startswith("data: ")
    assert done.stderr == ""


def test_run_becomes_the_executable(tmp_path: Path) -> None:
    program = tmp_path / "lib" / "zoo" / "lion"
    marker = tmp_path / "share" / "ament_index" / "resource_index" / "packages" / "zoo"
    for path in (program, marker):
        path.parent.mkdir(parents=True)
    marker.touch()
    program.write_text('#!/bin/sh\necho "$@"\nexit 3\n')
    program.chmod(0o755)
    env = {**os.environ, "AMENT_PREFIX_PATH": f"{tmp_path}:{os.environ.get('AMENT_PREFIX_PATH', '')}"}
    words = [*ROS2, "run", "--prefix", "env A=1", "zoo", "lion", "--ros-args", "-r", "x:=y"]
    done = subprocess.run(words, capture_output=True, text=True, env=env, check=False)
    assert (done.returncode, done.stdout) == (3, "--ros-args -r x:=y\n")
