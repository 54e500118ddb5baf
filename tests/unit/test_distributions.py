"""The code uses only ROS names that exist in all four distributions (tests/support/ros_api.txt)."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
from pathlib import Path

import pytest
from ros_api import DISTRIBUTIONS, Entry, Use, launch_uses, python_uses, table

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for path in sorted((ROOT / "src").rglob("*.py")) if "build" not in path.relative_to(ROOT).parts]
# Names that a distribution lacks, and the only file that may use them.
BEHIND = {
    "rclpy.experimental.events_executor.EventsExecutor": "edgecam_ros/executor.py",
    "<node on_exit>": "edgecam_ros/humble.py",  # with edgecam_bringup/CMakeLists.txt
}


def own_names() -> frozenset[str]:
    names: set[str] = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                names.add(node.name)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names.add(node.target.id)  # a field of a dataclass
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(node.attr)
    # A node overrides these methods of rclpy and must keep their signature.
    return frozenset(names - {"create_subscription", "create_timer", "create_service", "set_parameters"})


def test_names_and_keywords_in_the_code_are_in_all_four() -> None:
    names = own_names()
    uses = [use for path in SOURCES for use in python_uses(path, names)]
    assert len(uses) > 300
    wrong = [use for use in uses if use.lacking and not use.place.split(":")[0].endswith(BEHIND.get(use.name, "-"))]
    assert wrong == [], "\n".join(f"{use.place}: {use.name} is not in {sorted(use.lacking)}" for use in wrong)


def test_launch_files_use_what_all_four_have() -> None:
    uses = [use for path in sorted((ROOT / "launch").glob("*.launch.xml")) for use in launch_uses(path)]
    assert len(uses) > 500
    wrong = [use for use in uses if use.lacking and use.name not in BEHIND]
    assert wrong == []


def test_each_exception_is_used_and_missing_in_some_distribution() -> None:
    for name, file in BEHIND.items():
        assert list((ROOT / "src").glob(f"*/{file}")), file
        if not name.startswith("<"):
            assert table()["python"][name].distributions < DISTRIBUTIONS


@pytest.mark.parametrize(
    ("code", "lacking"),
    [
        ("import rclpy\nrclpy.init(args=None, signal_handler_options=None)", set()),
        ("import rclpy\nrclpy.init(arguments=None)", set(DISTRIBUTIONS)),
        ("from rclpy.event_handler import SubscriptionEventCallbacks", {"humble"}),
        ("from rclpy.nothing import Node", set(DISTRIBUTIONS)),
        ("import rclpy\nclient.call(request, timeout_sec=1.0)", {"humble"}),
        ("import rclpy\nnode.create_timer(1.0, print, None, None, 5, 6, 7, 8)", set(DISTRIBUTIONS)),
        ("from sensor_msgs.msg import Image\nImage(hight=1)", set(DISTRIBUTIONS)),
        ("from rclpy.qos import ReliabilityPolicy\nReliabilityPolicy.RELIABEL", set(DISTRIBUTIONS)),
        ("from rclpy.qos import ReliabilityPolicy\nReliabilityPolicy.BEST_AVAILABLE", {"humble"}),
    ],
)
def test_a_name_that_a_distribution_lacks_is_found(code: str, lacking: set[str], tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(code)
    found = {one for use in python_uses(tmp_path / "code.py") for one in use.lacking}
    assert found == lacking


def test_a_tag_attribute_or_substitution_that_a_distribution_lacks_is_found(tmp_path: Path) -> None:
    path = tmp_path / "x.launch.xml"
    path.write_text('<launch><nod/><node pkg="$(if true)" respawn_max_retries="1"/></launch>')
    assert [use for use in launch_uses(path) if use.lacking] == [
        Use(path.name, "<nod>", DISTRIBUTIONS),
        Use(path.name, "$(if)", frozenset({"humble"})),
        Use(path.name, "<node respawn_max_retries>", frozenset({"humble"})),
    ]


def test_the_column_of_the_installed_distribution_is_correct() -> None:
    """The table against the rclpy of this machine: existence of each name and each parameter."""
    distribution = os.environ.get("ROS_DISTRO", "")
    if distribution not in DISTRIBUTIONS:
        pytest.skip(f"ROS_DISTRO is {distribution!r}, none of {', '.join(sorted(DISTRIBUTIONS))}")
    wrong = [
        name
        for name, entry in table()["python"].items()
        if name.startswith("rclpy") and not agrees(name, entry, distribution)
    ]
    assert wrong == []


def agrees(name: str, entry: Entry, distribution: str) -> bool:
    here = resolved(name)
    if here is None:
        # Attributes that only an instance has are not checked.
        owner = name.rpartition(".")[0]
        return distribution not in entry.distributions or inspect.isclass(resolved(owner))
    if distribution not in entry.distributions:
        return False
    if not callable(here) or entry.parameters is None:
        return True
    try:
        parameters = inspect.signature(here).parameters
    except ValueError:  # compiled
        return True
    expected = {one.lstrip("*") for one, where in entry.parameters.items() if distribution in where and one.strip("*")}
    return expected == {one for one in parameters if one != "self"}


def resolved(name: str) -> object | None:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            here: object = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            here = getattr(here, part, None)
        return here
    return None
