"""Camera and sender on one machine, receiver and detector on another: two connected network namespaces."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tiny_models import color_detector
from waiting import DISCOVERY, wait_until

NEAR, FAR = "10.77.0.1", "10.77.0.2"
LONG = 2 * DISCOVERY
MAIN = "import sys; from {module} import main; sys.exit(main())"
# Prints a line for each array of detections, with its stamp and the nodes discovered by this machine.
WATCH = """
import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from vision_msgs.msg import Detection2DArray

rclpy.init()
node = Node("watch")

def show(array):
    stamp = array.header.stamp.sec * 10**9 + array.header.stamp.nanosec
    print(stamp, ",".join(sorted(node.get_node_names())), flush=True)

node.create_subscription(Detection2DArray, "/camera/stream/detections", show, qos_profile_sensor_data)
rclpy.spin(node)
"""

# Fetches a URL and prints size and colour of the JPEG; status 503 means that no frame has arrived yet.
FETCH = """
import sys, time, urllib.error, urllib.request
import cv2, numpy as np

while True:
    try:
        data = urllib.request.urlopen(sys.argv[1], timeout=60).read()
        break
    except urllib.error.HTTPError as error:
        if error.code != 503:
            raise
    except OSError:
        time.sleep(0.2)
pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
print(pixels.shape[1], pixels.shape[0], *pixels[60, 68])
"""


def ip(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *words], capture_output=True, text=True, timeout=30, check=False)


def ip_or_skip(text: str) -> None:
    made = ip(*text.split())
    if made.returncode:
        pytest.skip(f"ip {text} is not allowed here: {made.stderr.strip()}")


@contextmanager
def machines() -> Iterator[tuple[str, str]]:
    """Two namespaces connected by a veth pair; ``near-…`` is also the name of its near end."""
    near, far = f"n{os.getpid()}", f"f{os.getpid()}"
    try:
        for name in (near, far):
            ip_or_skip(f"netns add {name}")
            ip_or_skip(f"-n {name} link set lo up")
        ip_or_skip(f"link add {near} netns {near} type veth peer name {far} netns {far}")
        for name, address in ((near, NEAR), (far, FAR)):
            ip_or_skip(f"-n {name} address add {address}/24 dev {name}")
            ip_or_skip(f"-n {name} link set {name} up")
            ip_or_skip(f"-n {name} route add 224.0.0.0/4 dev {name}")
        yield near, far
    finally:
        for name in (near, far):
            ip("netns", "delete", name)


@contextmanager
def started(machine: str, code: str, output: Path, *options: str, **variables: str) -> Iterator[Path]:
    """A node on one of the machines."""
    with running(machine, [sys.executable, "-c", code, "--ros-args", *options], output, **variables):
        yield output


def on(machine: str, *command: str, **variables: str) -> tuple[list[str], dict[str, str]]:
    """Command line and environment on one of the machines; the transport is UDP, so they share no memory."""
    environment = {**os.environ, "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4", "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}
    environment = {name: value for name, value in environment.items() if not name.endswith("_DEFAULT_PROFILES_FILE")}
    return ["ip", "netns", "exec", machine, *command], {**environment, **variables}


@contextmanager
def running(machine: str, command: list[str], output: Path, **variables: str) -> Iterator[Path]:
    """A process on one of the machines, with its output in a file."""
    line, environment = on(machine, *command, **variables)
    with output.open("w") as out:
        process = subprocess.Popen(line, stdout=out, stderr=subprocess.STDOUT, env=environment, start_new_session=True)
    try:
        yield output
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # fastdds starts the server as its child
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def node(module: str, namespace: str, **parameters: object) -> tuple[str, list[str]]:
    values = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    return MAIN.format(module=module), ["-r", f"__ns:={namespace}", *values]


def test_detections_cross_the_cable_and_resume_after_it_was_unplugged(tmp_path: Path) -> None:
    model = color_detector(tmp_path / "model.onnx")
    # A frame fits into one datagram: of many, best effort would lose one on a busy machine, and with it the frame.
    size = {"image_width": 160, "image_height": 120, "framerate": "15.0"}
    with machines() as (near, far), ExitStack() as stack:
        nodes = {
            "camera": (near, *node("edgecam_camera.node", "/camera", source="test://smpte", **size)),
            "sender": (near, *node("edgecam_rtp.sender_node", "/camera", host=FAR, codec="h264")),
            "receiver": (far, *node("edgecam_rtp.receiver_node", "/camera/stream", codec="h264")),
            "detector": (far, *node("edgecam_detector.node", "/camera/stream", model=model, backend="onnxruntime")),
        }
        for name, (machine, code, options) in nodes.items():
            stack.enter_context(started(machine, code, tmp_path / name, *options))
        seen = stack.enter_context(started(far, WATCH, tmp_path / "watch"))

        def lines() -> list[str]:
            return [line for line in seen.read_text().splitlines() if line[:1].isdecimal()]

        def outputs() -> str:
            return "\n".join(f"{name}: {(tmp_path / name).read_text()[-600:]}" for name in (*nodes, "watch"))

        with contextlib.suppress(pytest.fail.Exception):
            wait_until(lambda: len(lines()) > 20, timeout=LONG)
        assert len(lines()) > 20, outputs()
        known = "camera_driver,detector,rtp_receiver,rtp_sender"
        wait_until(
            lambda: set(known.split(",")) <= set(lines()[-1].split()[1].split(",")), LONG, "all nodes to be seen"
        )
        ip("-n", near, "link", "set", near, "down")
        arrived = [len(lines()), time.monotonic()]

        def is_silent() -> bool:
            if len(lines()) != arrived[0]:
                arrived[:] = [len(lines()), time.monotonic()]
            return time.monotonic() - arrived[1] > 2.0

        wait_until(is_silent, LONG, "the detections to stop")
        ip("-n", near, "link", "set", near, "up")
        ip("-n", near, "route", "add", "224.0.0.0/4", "dev", near)
        count = len(lines())
        wait_until(lambda: len(lines()) > count + 20, LONG, "detections after the cable is back")
        stamps = [int(line.split()[0]) for line in lines()]
        assert stamps == sorted(set(stamps))


def test_raw_images_cross_the_cable_and_the_page_crosses_it_back(tmp_path: Path) -> None:
    with machines() as (near, far), ExitStack() as stack:
        size = {"image_width": 320, "image_height": 240, "framerate": "10.0"}
        camera = node("edgecam_camera.node", "/camera", source="test://smpte", **size)
        viewer = node("edgecam_viewer.node", "/camera", host="0.0.0.0", port=8080, token="open-sesame")
        for name, machine, (code, options) in (("camera", near, camera), ("viewer", far, viewer)):
            stack.enter_context(started(machine, code, tmp_path / name, *options))
        address = f"http://{FAR}:8080/snapshot.jpg?token=open-sesame"
        command = ["ip", "netns", "exec", near, sys.executable, "-c", FETCH, address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONG, check=False)
        logs = "\n".join((tmp_path / name).read_text()[-600:] for name in ("camera", "viewer"))
        assert done.returncode == 0, done.stderr + logs
        width, height, blue, green, red = map(int, done.stdout.split())
        assert (width, height) == (320, 240)
        assert blue < 80 < 200 < min(green, red), "the second bar is yellow"


def test_with_a_discovery_server_page_doctor_and_top_see_both_machines(tmp_path: Path) -> None:
    tool = shutil.which("fastdds")
    if tool is None or subprocess.run([tool, "--help"], capture_output=True, check=False).returncode:
        pytest.skip("needs the fastdds command; Jazzy's wheels for some Pythons lack a part of it")
    with machines() as (near, far), ExitStack() as stack:
        for machine, name in ((near, near), (far, far)):  # a network without multicast
            ip("-n", machine, "route", "delete", "224.0.0.0/4", "dev", name)
            ip("-n", machine, "link", "set", name, "multicast", "off")
        server = ["fastdds", "discovery", "-i", "0", "-l", NEAR, "-p", "11811"]
        stack.enter_context(running(near, server, tmp_path / "server"))
        by_server = {"ROS_DISCOVERY_SERVER": f"{NEAR}:11811", "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}
        size = {"image_width": 160, "image_height": 120, "framerate": "5.0"}
        camera = node("edgecam_camera.node", "/camera", source="test://smpte", **size)
        viewer = node("edgecam_viewer.node", "/camera", host="0.0.0.0", port=8080, token="open-sesame")
        for name, machine, (code, options) in (("camera", near, camera), ("viewer", far, viewer)):
            stack.enter_context(started(machine, code, tmp_path / name, *options, **by_server))

        def command(*words: str) -> str:
            line, environment = on(far, *words, **by_server)
            done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=LONG, check=False)
            return done.stdout + done.stderr

        def edgecam(*words: str) -> str:
            return command(sys.executable, "-m", "edgecam_core.cli.main", *words)

        address = f"http://{FAR}:8080/snapshot.jpg?token=open-sesame"
        shown = command(sys.executable, "-c", FETCH, address).split()
        logs = "\n".join((tmp_path / name).read_text()[-600:] for name in ("server", "camera", "viewer"))
        assert shown[:2] == ["160", "120"], " ".join(shown) + logs
        wait_until(lambda: {"camera/camera_driver", "camera/viewer"} <= set(edgecam("top", "--once").split()), LONG)
        graph = (sys.executable, "-m", "edgecam_core.doctor", "edgecam_ros.doctor.graph")  # the group of running nodes
        expected = ("2 nodes are running", "camera/camera_driver: ")
        wait_until(lambda: (found := command(*graph)) and all(one in found for one in expected), LONG, "both in doctor")
