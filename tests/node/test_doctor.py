"""``edgecam doctor`` finds planted faults, names a remedy for each, and reports no fault that is absent."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from edgecam_core.distributions import profile_variable
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import String
from waiting import DISCOVERY, wait_until

PACKAGES, ROS = "python_packages", "ros_environment"
PROFILE = Path(__file__).parents[2] / "config" / "fastdds.xml"
VARIABLE = profile_variable(os.environ["ROS_DISTRO"])
OTHER = ({"FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"} - {VARIABLE}).pop()
Findings = dict[str, list[dict[str, str]]]


def run(words: list[str], environment: dict[str, str | None]) -> subprocess.CompletedProcess[str]:
    """Run a Python program with changed environment variables (None: unset)."""
    changed = {**os.environ, OTHER: "", VARIABLE: str(PROFILE), **environment}
    given = {name: value for name, value in changed.items() if value is not None}
    done = subprocess.run([sys.executable, *words], env=given, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def doctor(*arguments: str, **environment: str | None) -> tuple[int, str]:
    """Exit code and output of the command."""
    done = run(["-m", "edgecam_core.cli.main", "doctor", *arguments], environment)
    return done.returncode, done.stdout


def findings(*arguments: str, **environment: str | None) -> tuple[int, Findings]:
    """Exit code and findings by key of ``doctor --json``."""
    code, output = doctor("--json", *arguments, **environment)
    found: Findings = {}
    for one in json.loads(output)["findings"]:
        found.setdefault(one["key"], []).append(one)
    return code, found


@functools.cache
def complete() -> tuple[int, Findings]:
    """The command on this machine as it is."""
    return findings()


def group_findings(group: str, **environment: str | None) -> list[dict[str, str]]:
    """The findings of one group, from the process in which the command runs it."""
    found: list[dict[str, str]] = json.loads(run(["-m", "edgecam_core.doctor", group], environment).stdout)
    assert found[0]["group"] in {one["group"] for several in complete()[1].values() for one in several}
    return found


def distribution(folder: Path, name: str, version: str) -> None:
    """Make a distribution look installed."""
    facts = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def no_gstreamer_elements(folder: Path) -> dict[str, str | None]:
    registry = str(folder / "registry.bin")
    empty = {name: str(folder) for name in ("GST_PLUGIN_SYSTEM_PATH_1_0", "GST_PLUGIN_PATH_1_0")}
    return {**empty, "GST_PLUGIN_SYSTEM_PATH": None, "GST_PLUGIN_PATH": None, "GST_REGISTRY_1_0": registry}


def no_gstreamer_binding(folder: Path) -> dict[str, str | None]:
    (folder / "gi.py").write_text("raise ImportError('no gi here')\n")
    return on_path(folder)


def on_path(folder: Path) -> dict[str, str | None]:
    return {"PYTHONPATH": f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


def opencv_5(folder: Path) -> dict[str, str | None]:
    distribution(folder, "opencv-python-headless", "5.0.0.90")
    return on_path(folder)


def two_opencvs(folder: Path) -> dict[str, str | None]:
    distribution(folder, "opencv-python", "4.14.0.94")
    distribution(folder, "opencv-python-headless", "4.14.0.94")
    return on_path(folder)


def two_onnxruntimes(folder: Path) -> dict[str, str | None]:
    distribution(folder, "onnxruntime", "1.32.0")
    distribution(folder, "onnxruntime-gpu", "1.32.0")
    return on_path(folder)


def cv_bridge_for_numpy_1(folder: Path) -> dict[str, str | None]:
    (folder / "cv_bridge.py").write_text("raise AttributeError('_ARRAY_API not found')\n")
    return on_path(folder)


def missing_profile(folder: Path) -> dict[str, str | None]:
    return {VARIABLE: str(folder / "none.xml")}


def broken_profile(folder: Path) -> dict[str, str | None]:
    (folder / "profile.xml").write_text("<profiles><oops></profiles>")
    return {VARIABLE: str(folder / "profile.xml")}


def small_segment(folder: Path) -> dict[str, str | None]:
    (folder / "profile.xml").write_text(PROFILE.read_text().replace("41943040", "524288"))
    return {VARIABLE: str(folder / "profile.xml")}


def cache_on_a_file(folder: Path) -> dict[str, str | None]:
    (folder / "file").write_text("")
    return {"EDGECAM_CACHE": str(folder / "file" / "cache")}


def environment(**changes: str | None) -> Callable[[Path], dict[str, str | None]]:
    return lambda _folder: changes


FAULTS: dict[str, tuple[Callable[[Path], dict[str, str | None]], str, str, str]] = {
    # name: how it is planted, the group that finds it, the finding's key, its level
    "no GStreamer elements": (no_gstreamer_elements, "gstreamer", "gstreamer-the-RTP-link", "error"),
    "no GStreamer binding": (no_gstreamer_binding, "gstreamer", "gstreamer", "error"),
    "OpenCV 5": (opencv_5, PACKAGES, "opencv-version", "error"),
    "two OpenCV wheels": (two_opencvs, PACKAGES, "rival-cv2", "error"),
    "two ONNX Runtime wheels": (two_onnxruntimes, PACKAGES, "rival-onnxruntime", "error"),
    "cv_bridge made for NumPy 1": (cv_bridge_for_numpy_1, PACKAGES, "cv-bridge", "error"),
    "the DDS profile of another distribution": (
        environment(**{VARIABLE: "", OTHER: str(PROFILE)}), ROS, "dds-profile", "warning",
    ),
    "no DDS profile": (environment(**{VARIABLE: None}), ROS, "dds-profile", "warning"),
    "a DDS profile that does not exist": (missing_profile, ROS, "dds-profile", "error"),
    "a DDS profile that is not XML": (broken_profile, ROS, "dds-profile", "error"),
    "a small shared-memory segment": (small_segment, ROS, "dds-profile", "warning"),
    "discovery off": (environment(ROS_AUTOMATIC_DISCOVERY_RANGE="OFF"), ROS, "discovery", "error"),
    "a misspelt discovery range": (environment(ROS_AUTOMATIC_DISCOVERY_RANGE="LOCAL"), ROS, "discovery", "error"),
    "the old localhost switch": (environment(ROS_LOCALHOST_ONLY="1"), ROS, "localhost-only", "warning"),
    "an impossible domain": (environment(ROS_DOMAIN_ID="500"), ROS, "domain", "error"),
    "a middleware that is not installed": (environment(RMW_IMPLEMENTATION="rmw_none_cpp"), ROS, "middleware", "error"),
    "a shell without ROS": (environment(AMENT_PREFIX_PATH=None), ROS, "ros-sourced", "error"),
    "a cache that cannot be written": (cache_on_a_file, "system", "cache", "error"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str, tmp_path: Path) -> None:
    plant, group, key, level = FAULTS[fault]
    before = [one for one in complete()[1].get(key, []) if one["level"] in ("warning", "error")]
    assert not before, "the fault exists without being planted"
    found = group_findings(f"edgecam_core.doctor.{group}", **plant(tmp_path))
    here = [one for one in found if (one["key"], one["level"]) == (key, level)]
    assert here, found
    assert here[0]["remedy"]


@contextlib.contextmanager
def planted_node(plant: Callable[[Node], Any]) -> Iterator[None]:
    """A node in the graph with a fault created by ``plant``."""
    context = Context()
    context.init()
    node = Node("planted", namespace="/faulty", context=context)
    kept = plant(node)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        executor.shutdown()
        thread.join(60)
        node.destroy_node()
        context.try_shutdown()
        del kept


def plant_all(node: Node) -> Any:
    """A QoS mismatch, and reports of an error, of a warning and from a clock that is five seconds behind."""
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    reliable = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
    mismatch = (
        node.create_publisher(String, "words", best_effort),
        node.create_subscription(String, "words", lambda _: None, reliable),
    )
    publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)

    def report(name: str, level: bytes, message: str, seconds_ago: int = 0) -> None:
        array = DiagnosticArray(status=[DiagnosticStatus(name=f"faulty/{name}", level=level, message=message)])
        array.header.stamp = node.get_clock().now().to_msg()
        array.header.stamp.sec -= seconds_ago
        publisher.publish(array)

    def report_all() -> None:
        report("blind", DiagnosticStatus.ERROR, "no camera")
        report("slow", DiagnosticStatus.WARN, "too slow")
        report("late", DiagnosticStatus.OK, "running", 5)

    return mismatch, publisher, node.create_timer(0.3, report_all)


RUNNING = (
    ("qos", "error", "/faulty/words"),
    ("node-state", "error", "faulty/blind: no camera"),
    ("node-state", "warning", "faulty/slow: too slow"),
    ("clock-offset", "warning", "faulty/late"),
)


def test_faults_of_running_nodes_are_found() -> None:
    def planted() -> list[list[dict[str, str]]]:
        several = group_findings("edgecam_ros.doctor.graph")
        return [
            [one for one in several if (one["key"], one["level"]) == (key, level) and text in one["text"]]
            for key, level, text in RUNNING
        ]

    with planted_node(plant_all):
        found = wait_until(lambda: all(here := planted()) and here, 4 * DISCOVERY, "all faults")  # discovery takes time
    assert [len(here) for here in found] == [1] * len(RUNNING), found
    assert all(one["remedy"] for here in found for one in here)


def test_every_bad_finding_has_a_remedy_and_every_finding_all_fields() -> None:
    code, found = complete()
    several = [one for group in found.values() for one in group]
    assert all(one["remedy"] for one in several if one["level"] in ("warning", "error"))
    assert all(set(one) == {"key", "level", "group", "text", "remedy"} for one in several)
    assert code == (1 if any(one["level"] == "error" for one in several) else 0)


def test_the_text_shows_groups_remedies_and_the_count(tmp_path: Path) -> None:
    code, text = doctor("--quiet", "--machine", **missing_profile(tmp_path))
    assert code == 1
    assert "ROS 2 environment\n  ERROR the Fast DDS profile" in text
    assert f"        -> export {VARIABLE}=" in text
    assert "  ok " not in text
    assert text.rstrip().endswith(("error", "errors"))


def test_strict_counts_warnings(tmp_path: Path) -> None:
    assert doctor("--strict", "--machine", **small_segment(tmp_path))[0] == 1
