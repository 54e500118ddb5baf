"""The manifests: every import is declared as a dependency, with a key that rosdep knows."""

from __future__ import annotations

import ast
import fnmatch
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from catkin_pkg.changelog import get_changelog_from_path
from network import free_domain
from owners import OWNERS, REPOSITORY, TESTS, owner

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted(path.parent for path in (ROOT / "src").glob("*/package.xml"))
OWN = {path.name for path in PACKAGES}
URL = "https://edgecam.invalid"  # a placeholder, as in the maintainer's address, until there is a public one

# Keys looked up in ros/rosdistro of 2026-08-22: rosdep/base.yaml and rosdep/python.yaml for Debian and Ubuntu ...
ROSDEP_KEYS = {
    "gstreamer1.0", "gstreamer1.0-libav", "gstreamer1.0-nice", "gstreamer1.0-plugins-bad", "gstreamer1.0-plugins-base",
    "gstreamer1.0-plugins-good", "gstreamer1.0-plugins-ugly", "python3-aiohttp", "python3-flatbuffers", "python3-gi",
    "python3-hypothesis", "python3-matplotlib", "python3-numpy", "python3-onnxruntime-pip", "python3-opencv",
    "python3-paho-mqtt",
    "python3-pil", "python3-psutil", "python3-pytest", "python3-pytest-asyncio", "python3-pytest-timeout",
    "python3-pytorch-pip", "python3-qrcode", "python3-yaml",
}  # fmt: skip
# ... and packages released into the distribution.yaml of humble, jazzy, kilted and lyrical.
ROS_PACKAGES = {
    "ament_cmake", "ament_cmake_core", "ament_index_python", "builtin_interfaces", "cv_bridge", "diagnostic_msgs",
    "foxglove_msgs", "launch", "launch_ros", "launch_testing", "launch_xml", "lifecycle_msgs", "rcl_interfaces",
    "rclpy", "ros2launch", "rosgraph_msgs", "rosidl_default_generators", "rosidl_default_runtime", "rviz2",
    "sensor_msgs", "std_msgs", "std_srvs", "vision_msgs", "visualization_msgs",
}  # fmt: skip
KEY_OF_IMPORT = {
    "aiohttp": "python3-aiohttp", "cv2": "python3-opencv", "gi": "python3-gi", "numpy": "python3-numpy",
    "onnx": "python3-onnx-pip", "onnxruntime": "python3-onnxruntime-pip", "psutil": "python3-psutil",
    "qrcode": "python3-qrcode", "yaml": "python3-yaml", "flatbuffers": "python3-flatbuffers",
    "matplotlib": "python3-matplotlib", "PIL": "python3-pil", "hypothesis": "python3-hypothesis",
    "paho": "python3-paho-mqtt", "mcap": "python3-mcap-pip", "zstandard": "python3-mcap-pip",  # mcap brings zstandard
    "pytest": "python3-pytest", "pytest_asyncio": "python3-pytest-asyncio",
    "torch": "python3-pytorch-pip", "torchvision": "python3-pytorch-pip", "triton": "python3-pytorch-pip",
}  # fmt: skip
# Imported only on request; the error says how to install them.
OPTIONAL = {
    "edgecam_core": {
        "cuda",
        "openvino",
        "pycuda",
        "torch",
        "rosbags",
    },  # optional back ends; bags in SQLite
    "edgecam_training": {"pycocotools"},  # crowd regions of COCO, as run-length codes; no rosdep key
}
# Installed by other packages: python3-gst-1.0 depends on the first two, gstreamer1.0 is the key of the third.
IMPLIED = {"gir1.2-gstreamer-1.0", "gir1.2-gst-plugins-base-1.0", "gstreamer1.0-tools"}


def manifest(package: Path) -> ElementTree.Element:
    return ElementTree.parse(package / "package.xml").getroot()


def dependencies(package: Path) -> set[str]:
    return {str(one.text) for one in manifest(package) if one.tag.endswith("depend")}


def local_keys() -> set[str]:
    return set(yaml.safe_load((ROOT / "requirements" / "rosdep.yaml").read_text()))


def imports(package: Path) -> dict[str, str]:
    """Top-level names imported from outside the package and the standard library -> a file that does it."""
    found: dict[str, str] = {}
    for path in sorted((package / package.name).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for name in names:
                found.setdefault(name.split(".")[0], str(path.relative_to(ROOT)))
    return {name: path for name, path in found.items() if name not in {package.name, *sys.stdlib_module_names}}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_every_dependency_is_a_key_that_rosdep_knows(package: Path) -> None:
    assert dependencies(package) <= OWN | ROSDEP_KEYS | ROS_PACKAGES | local_keys()
    listed = [(one.tag, one.text) for one in manifest(package) if one.tag.endswith("depend")]
    assert len(listed) == len(set(listed)), "listed twice"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_every_import_is_declared_as_a_dependency(package: Path) -> None:
    declared = dependencies(package)
    missing = {
        name: path
        for name, path in imports(package).items()
        if name not in OPTIONAL.get(package.name, set()) and KEY_OF_IMPORT.get(name, name) not in declared
    }
    assert missing == {}


def test_our_rosdep_list_has_only_what_the_packages_need_and_the_public_lists_lack() -> None:
    used = {key for package in PACKAGES for key in dependencies(package)}
    assert local_keys() <= used
    assert not local_keys() & (ROSDEP_KEYS | ROS_PACKAGES)
    page = (ROOT / "docs" / "how-to" / "deployment.md").read_text()
    assert {key for key in local_keys() if f"`{key}`" not in page} == set(), "the page lists them"


def test_gstreamer_is_installed_by_rosdep_as_by_set_up() -> None:
    lines = (ROOT / "requirements" / "apt.txt").read_text().splitlines()
    expected = {word for line in lines for word in line.partition("#")[0].split()}
    gstreamer = {name for name in expected if name.startswith(("gstreamer", "gir1.2", "python3-g"))}
    assert gstreamer - IMPLIED <= {key for package in PACKAGES for key in dependencies(package)}


def test_bringup_depends_on_every_package_whose_nodes_it_starts() -> None:
    bringup = ROOT / "src" / "edgecam_bringup"
    started = {
        element.attrib["pkg"]
        for path in bringup.glob("launch/*.xml")
        for element in ElementTree.parse(path).iter("node")
    }
    assert started - dependencies(bringup) == {"rviz2"}, "rviz2 belongs on a workstation, not on the camera's machine"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_manifest_and_setup_agree(package: Path) -> None:
    root = manifest(package)
    fields = {tag: root.findtext(tag) for tag in ("name", "version", "description", "license")}
    assert fields["name"] == package.name
    assert fields["license"] == "Apache-2.0"
    assert [(one.get("type"), one.text) for one in manifest(package).iter("url")] == [("website", URL)]
    if (package / "setup.py").exists():
        setup = (package / "setup.py").read_text()
        assert f'version="{fields["version"]}"' in setup
        assert fields["description"] in setup
        # Without this extra `colcon test` runs unittest, finds nothing and succeeds.
        assert '"test": ["pytest"]' in setup


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_package_has_a_changelog_as_the_build_farm_reads_it(package: Path) -> None:
    log = get_changelog_from_path(str(package / "CHANGELOG.rst"))
    assert log is not None
    assert f"\nChangelog for package {package.name}\n" in (package / "CHANGELOG.rst").read_text()
    versions = [version for version, _, _ in log.foreach_version()]
    for version in versions:
        assert log.get_content_of_version(version), f"{version} is empty"


def test_a_package_never_depends_on_one_above_it() -> None:
    order = ["edgecam_core", "edgecam_ros"]
    assert not dependencies(ROOT / "src" / order[0]) & OWN
    assert dependencies(ROOT / "src" / order[1]) & OWN == {"edgecam_core"}
    for package in PACKAGES:
        if package.name != "edgecam_bringup":
            assert dependencies(package) & OWN <= {*order, "edgecam_msgs"}, f"{package.name} depends on a sibling"


FOLDERS = ("unit", "node", "launch", "training")
TEST_FILES = sorted(path for folder in FOLDERS for path in TESTS.glob(f"{folder}/test_*.py"))


def test_every_test_file_has_an_owner_and_every_package_its_tests() -> None:
    assert {owner(path) for path in TEST_FILES} == OWN | {REPOSITORY}
    names = [path.relative_to(TESTS).as_posix() for path in TEST_FILES]
    assert [pattern for pattern in OWNERS if not fnmatch.filter(names, pattern)] == [], "of files that are gone"


@pytest.mark.parametrize("package", ["edgecam_rtp", "edgecam_training"])
def test_colcon_test_runs_the_files_that_a_package_owns(package: str) -> None:
    """As colcon does it: pytest in the folder of the package."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q"]
    done = subprocess.run(command, cwd=ROOT / "src" / package, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    collected = set(re.findall(r"(test_\w+\.py)::", done.stdout))
    mine = [path for path in TEST_FILES if owner(path) == package]
    if find_spec("torch") is None:
        mine = [path for path in mine if path.parent.name != "training"]
    assert collected == {path.name for path in mine}


def test_colcon_test_runs_both_kinds_of_launch_tests() -> None:
    done = subprocess.run(
        ["ctest", "-N", "--test-dir", ROOT / "build" / "edgecam_bringup"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert re.findall(r"Test +#\d+: (\w+)", done.stdout) == ["launch_files", "launch_testing"]


@pytest.mark.parametrize(("words", "code"), [((), 1), (("--if-installed",), 77)])  # 77: skipped, for CTest
def test_the_launch_testing_suite_says_what_to_install(words: tuple[str, ...], code: int, tmp_path: Path) -> None:
    (tmp_path / "launch_testing.py").write_text("raise ImportError('as where it is not installed')\n")
    done = subprocess.run(
        [TESTS / "launch_testing" / "run", *words],
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == code
    assert "-launch-testing" in done.stderr


def test_the_dds_ports_of_every_test_domain_are_outside_the_ephemeral_range() -> None:
    assert {free_domain(nth) for nth in range(200)} <= set(range(1, 102))
    own = [path for path in TESTS.rglob("*.py") if re.search(r"DOMAIN_ID.*rand", path.read_text())]
    assert own == [Path(__file__)], "take free_domain of tests/support/network.py"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_test_dependencies_are_declared(package: Path) -> None:
    text = "".join(path.read_text() for path in TEST_FILES if owner(path) == package.name)
    used = set(re.findall(r"^(?:import|from) (pytest|pytest_asyncio|hypothesis|psutil)\b", text, re.MULTILINE))
    assert {KEY_OF_IMPORT[name] for name in used} <= dependencies(package)
