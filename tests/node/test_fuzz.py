"""No input ends a node: each subscription, service and parameter of each node gets hostile values.

EDGECAM_FUZZ sets how many messages each entry gets (make fuzz: many). Afterwards the node is active and reports.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import forked
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from hostile import interface, messages
from hypothesis import HealthCheck, given, settings
from lifecycle_msgs.srv import GetState
from network import free_tcp_port, free_udp_port
from rcl_interfaces.srv import ListParameters, SetParameters
from ros_peer import Peer
from tiny_models import color_detector
from waiting import DISCOVERY, wait_until

EXAMPLES = int(os.environ.get("EDGECAM_FUZZ", "15"))
NODES = {
    "camera_driver": ("edgecam_camera.node", {"image_width": "64", "image_height": "48"}),
    "rtp_sender": ("edgecam_rtp.sender_node", {"port": "{udp}"}),
    "rtp_receiver": ("edgecam_rtp.receiver_node", {"port": "{udp}"}),
    "detector": ("edgecam_detector.node", {"model": "{model}", "backend": "onnxruntime"}),
    "collector": ("edgecam_collector.node", {"directory": "{folder}/collected"}),
    "recorder": ("edgecam_recorder.node", {"directory": "{folder}/recordings", "topics": "[image_raw, detections]"}),
    "events": (
        "edgecam_events.node",
        {
            "events_directory": "{folder}/events",
            "zones": "['hall: 0,0 1,0 1,1']",
            "rules": "['a: any enters hall', 'b: any count above 1', 'c: any absent 1s']",
        },
    ),
    "viewer": ("edgecam_viewer.node", {"port": "{tcp}"}),
    "monitor": ("edgecam_viewer.monitor_node", {}),
}
MAIN = "import sys; from {module} import main; sys.exit(main())"
FOREIGN_TOPICS = ("/parameter_events", "/rosout", "/clock")
SKIPPED_SERVICES = ("change_state", "get_type_description")  # a request to shut down is obeyed


class FuzzedNode:
    """A node as a process, with its subscriptions and services."""

    def __init__(self, peer: Peer, name: str, folder: Path) -> None:
        module, parameters = NODES[name]
        places = {
            "udp": free_udp_port(),
            "tcp": free_tcp_port(),
            "folder": folder,
            "model": color_detector(folder / "m.onnx"),
        }
        options = [word for key, value in parameters.items() for word in ("-p", f"{key}:={value.format(**places)}")]
        self.peer, self.name, self.output = peer, name, folder / "output.txt"
        with self.output.open("w") as out:
            self.process = forked.Popen(
                [sys.executable, "-c", MAIN.format(module=module), "--ros-args", *options],
                stdout=out, stderr=subprocess.STDOUT, cwd=folder, env={**os.environ, "HOME": str(folder)},
            )  # fmt: skip
        wait_until(lambda: self.state() == "active", what=f"{name} to be active: {self.output.read_text()}")
        self.wait_discovered()

    def state(self) -> str:
        assert self.process.poll() is None, self.output.read_text()
        answer: Any = self.peer.call(GetState, f"/{self.name}/get_state", GetState.Request())
        return str(answer.current_state.label)

    def wait_discovered(self) -> None:
        """A service may respond before the node and its endpoints are in the graph."""
        node, own = self.peer.node, (self.name, "/")
        wait_until(lambda: own in node.get_node_names_and_namespaces(), what=f"{self.name} in the graph")
        services = node.get_service_names_and_types_by_node
        wait_until(lambda: f"/{self.name}/set_parameters" in dict(services(*own)), what=f"the services of {self.name}")

    def subscriptions(self) -> list[tuple[str, str]]:
        found = self.peer.node.get_subscriber_names_and_types_by_node(self.name, "/")
        return [(topic, types[0]) for topic, types in found if topic not in FOREIGN_TOPICS]

    def services(self) -> list[tuple[str, str]]:
        found = self.peer.node.get_service_names_and_types_by_node(self.name, "/")
        return [(name, types[0]) for name, types in found if not name.endswith(SKIPPED_SERVICES)]

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(DISCOVERY)


@pytest.fixture(params=NODES)
def node(peer: Peer, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FuzzedNode]:
    running = FuzzedNode(peer, request.param, tmp_path)
    yield running
    running.close()


quick = settings(
    max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
)


@cache
def samples(kind: Any) -> list[Any]:
    """EXAMPLES values of a message type or of a service's request; the same for each node, and made once."""
    found: list[Any] = []

    @quick
    @given(messages(kind))
    def keep(value: Any) -> None:
        found.append(value)

    keep()
    return found


@pytest.mark.timeout(240 + 10 * EXAMPLES)
def test_no_hostile_value_ends_a_node(node: FuzzedNode, peer: Peer) -> None:
    reports = peer.collect(DiagnosticArray, "/diagnostics")
    for topic, type_name in node.subscriptions():
        kind = interface(type_name)
        publisher = peer.node.create_publisher(kind, topic, 10)
        for message in samples(kind):
            publisher.publish(message)
    for name, type_name in node.services():
        service = interface(type_name)
        call = peer.client(service, name)
        for request in samples(service.Request):
            call(request)
    listed = peer.call(ListParameters, f"/{node.name}/list_parameters", ListParameters.Request()).result.names

    ask = peer.client(SetParameters, f"/{node.name}/set_parameters")

    for request in deepcopy(samples(SetParameters.Request)):
        for parameter, name in zip(request.parameters, listed, strict=False):
            parameter.name = name
        assert len(ask(request).results) == len(request.parameters)
    reports.clear()
    wait_until(
        lambda: any(one.name == node.name for array in reports for one in array.status), what="a report afterwards"
    )
    assert node.state() == "active", node.output.read_text()
    output = node.output.read_text()
    assert "Traceback" not in output
    defects = re.findall(r".*\(\w+/\w+\.py:\d+\)", output)  # as edgecam_ros.faults logs them; refusals name no file
    assert not [line for line in defects if "/set_parameters" not in line]  # rclpy's own service, of unknown types
