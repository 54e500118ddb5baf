"""Rules for every launch file, checked in its text and with `ros2 launch --show-args`; nothing is started here."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest
import yaml
from launch_effects import changed, parameters, processes
from launched import ROOT, ros_environment
from ros2cli import cli

LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.xml"))
LAUNCH_TESTING = sorted((ROOT / "tests" / "launch_testing").glob("*_launch_test.py"))
COMPOSED = ("pipeline", "demo")  # these only include others; every other file is a leaf, which starts one node
COMMON = {"namespace", "camera_name", "params_file", "respawn", "log_level"}


def name_of(path: Path) -> str:
    return path.name.removesuffix(".launch.xml")


# rviz2; the environment of SROS2; the process that starts camera nodes from a list; two nodes in one process; a command
# that is not a node
NOT_ONE_NODE = ("rviz", "security", "cameras", "composed", "rtp_direct", "rtp_detect", "improve")
LEAVES = [path for path in LAUNCH_FILES if name_of(path) not in (*COMPOSED, *NOT_ONE_NODE)]


def root_of(path: Path) -> ElementTree.Element:
    return ElementTree.parse(path).getroot()


def declared(path: Path) -> set[str]:
    return {arg.attrib["name"] for arg in root_of(path).findall("arg")}


def generator() -> ModuleType:
    """scripts/generate_docs.py, which knows the settings class of every node."""
    spec = importlib.util.spec_from_file_location("generate_docs", ROOT / "scripts" / "generate_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


def test_there_is_a_leaf_for_every_node_and_a_parameter_file_for_every_leaf() -> None:
    pages = {page.name for page in generator().PAGES}
    assert {name_of(path) for path in LEAVES} == pages
    assert {path.stem for path in (ROOT / "config").glob("*.yaml")} >= pages


def test_every_launch_file_has_its_launch_testing_file() -> None:
    tests = {path.name.removesuffix("_launch_test.py") for path in LAUNCH_TESTING}
    assert tests == {name_of(path) for path in LAUNCH_FILES} - {
        "rviz",
        "security",
        "improve",
    }  # these need a display, a keystore and a reviewed collection (test_auto_improve.py)


@pytest.mark.parametrize("path", LAUNCH_TESTING, ids=lambda path: path.stem)
def test_a_launch_testing_file_expects_the_processes_that_its_launch_files_start(path: Path) -> None:
    tree = ast.parse(path.read_text())
    (call,) = [one for one in ast.walk(tree) if isinstance(one, ast.Call) and ast.unparse(one.func) == "suite.describe"]
    arguments = {str(one.arg): str(one.value.value) for one in call.keywords if isinstance(one.value, ast.Constant)}
    started = [one.name for file in call.args for one in processes(ast.literal_eval(file), **arguments)]
    constants = {ast.unparse(one.targets[0]): one.value for one in ast.walk(tree) if isinstance(one, ast.Assign)}
    match constants.get("processes", ast.Constant(1)):  # suite.CleanEnd
        case ast.Call(args=[ast.Name(name)]):
            assert len(started) == len(ast.literal_eval(constants[name])), started
        case number:
            assert len(started) == ast.literal_eval(number), started


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=name_of)
def test_every_argument_has_a_description(path: Path) -> None:
    for arg in root_of(path).findall("arg"):
        assert len(arg.attrib.get("description", "")) > 5, arg.attrib["name"]
        assert "default" in arg.attrib, f"{arg.attrib['name']} is required; a file must start without arguments"


@pytest.mark.parametrize("path", LEAVES, ids=name_of)
def test_a_leaf_starts_one_node_with_the_common_arguments(path: Path) -> None:
    root = root_of(path)
    node, again = root.iter("node")
    ending = {"on_exit": "shutdown", "unless": "$(var respawn)"}
    respawning = {"respawn": "true", "respawn_delay": "2.0", "if": "$(var respawn)"}
    assert ending.items() <= node.attrib.items()
    assert {**node.attrib, **respawning} == {**again.attrib, **ending}
    assert [one.attrib for one in node] == [one.attrib for one in again]
    assert list(root.iter("include")) == []
    assert declared(path) >= COMMON
    files = [param.attrib["from"] for param in node.findall("param")]
    # The user's file comes last, so it takes precedence.
    assert files == [f"$(find-pkg-share edgecam_bringup)/config/{name_of(path)}.yaml", "$(var params_file)"]
    assert node.attrib["namespace"].startswith("$(var namespace)/$(var camera_name)")
    assert root.find("set_env[@name='FASTDDS_DEFAULT_PROFILES_FILE']") is not None


@pytest.mark.parametrize("path", [path for path in LAUNCH_FILES if name_of(path) in COMPOSED], ids=name_of)
def test_a_composed_file_only_includes(path: Path) -> None:
    root = root_of(path)
    assert {child.tag for child in root if child.tag is not ElementTree.Comment} <= {"arg", "let", "group", "include"}
    for include in root.findall("include"):  # not in a group: its variables are visible everywhere
        assert include.attrib["file"].endswith("/security.launch.xml")
    assert root.findall("group/include")


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=name_of)
def test_an_include_passes_only_arguments_that_exist(path: Path) -> None:
    # A misspelt argument would be ignored silently by ros2 launch.
    for include in root_of(path).iter("include"):
        target = ROOT / "launch" / include.attrib["file"].rsplit("/", 1)[1]
        assert target.exists()
        given = [arg.attrib["name"] for arg in include.findall("arg")]
        assert len(given) == len(set(given))
        assert set(given) <= declared(target)
        assert all("value" in arg.attrib for arg in include.findall("arg")), "an include sets values, not defaults"
        # A variable that is not passed is still taken from the including file, where it may mean something else.
        assert declared(path) & declared(target) <= set(given), "an argument of the same name is not passed"


EFFECTS = [
    ("pipeline", "host", {"rtp_sender_node-2.host"}),
    ("pipeline", "port", {"rtp_sender_node-2.port", "rtp_receiver_node-3.port"}),
    ("pipeline", "source", {"camera_node-1.source"}),
    ("pipeline", "camera_name", {"camera_node-1.camera_name", "rtp_receiver_node-3.camera_name"}),
    ("rtp_receiver", "camera_name", {"rtp_receiver_node-1.camera_name"}),
    ("rtp_detect", "camera_name", {"container_node-1.camera_name"}),
    ("pipeline", "viewer_host", {"viewer_node-5.host"}),
    ("pipeline", "viewer_port", {"viewer_node-5.port"}),
    ("pipeline", "model", {"detector_node-4.model"}),
    ("pipeline composition_link", "host", {"container_node-1.host"}),
    ("pipeline composition_link", "port", {"container_node-1.port", "container_node-2.port"}),
    ("pipeline composition_link", "viewer_port", {"viewer_node-3.port"}),
    ("pipeline composition", "host", set()),  # there is no link
    ("pipeline composition", "viewer_host", {"viewer_node-2.host"}),
    ("pipeline collect", "collect_directory", {"collector_node-5.directory", "viewer_node-6.collection"}),
    ("pipeline events", "events_directory", {"events_node-5.events_directory", "viewer_node-6.events"}),
    ("pipeline record", "record_directory", {"recorder_node-5.directory"}),
    ("demo", "host", {"rtp_sender_node-2.host"}),  # not an argument of the demo: ros2 launch passes it on nevertheless
    ("demo events", "events_directory", {"events_node-5.events_directory", "viewer_node-6.events"}),
    ("demo", "port", {"rtp_sender_node-2.port", "rtp_receiver_node-3.port"}),
    ("demo", "viewer_host", {"viewer_node-5.host"}),
    ("cameras", "host", set()),
    ("cameras", "port", set()),
    ("cameras", "collection", set()),
    ("cameras events", "events_directory", {"events_node-3.events_directory", "viewer_node-4.events"}),
    ("cameras", "viewer_host", {"viewer_node-3.host"}),
    ("cameras", "viewer_port", {"viewer_node-3.port"}),
]


@pytest.mark.parametrize(("launch", "argument", "expected"), EFFECTS, ids=[f"{row[0]}-{row[1]}" for row in EFFECTS])
def test_an_argument_changes_its_parameters_and_no_others(launch: str, argument: str, expected: set[str]) -> None:
    name, *switches = launch.split()
    value = "left" if argument == "camera_name" else "5999"
    assert changed(name, argument, value, **dict.fromkeys(switches, "true")) == expected


@pytest.mark.parametrize("name", ["viewer", "pipeline", "demo", "cameras"])
def test_the_page_is_local_unless_the_viewer_is_given_an_address(name: str) -> None:
    hosts = {key: value for key, value in parameters(name).items() if key.startswith("viewer_node")}
    assert [value for key, value in hosts.items() if key.endswith(".host")] == ["127.0.0.1"]


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=name_of)
def test_every_variable_used_is_declared(path: Path) -> None:
    known = declared(path) | {let.attrib["name"] for let in root_of(path).iter("let")}
    assert set(re.findall(r"\$\(var (\w+)\)", path.read_text())) <= known


@pytest.mark.parametrize("path", LEAVES, ids=name_of)
def test_every_variable_of_a_parameter_file_is_an_argument_of_its_leaf(path: Path) -> None:
    text = (ROOT / "config" / f"{name_of(path)}.yaml").read_text()
    assert set(re.findall(r"\$\(var (\w+)\)", text)) <= declared(path)


def test_every_key_of_a_parameter_file_is_a_declared_setting_and_every_value_is_allowed() -> None:
    for page in generator().PAGES:
        content = yaml.safe_load((ROOT / "config" / f"{page.name}.yaml").read_text())
        values = content["/**"]["ros__parameters"]
        specs = page.table().specs()
        assert set(values) <= set(specs), page.name
        for key, value in values.items():
            if "$(var" not in str(value):
                specs[key].check(value)


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=name_of)
def test_every_node_is_an_executable_of_its_package(path: Path) -> None:
    for node in root_of(path).iter("node"):
        package = ROOT / "src" / node.attrib["pkg"]
        if package.exists():  # rviz2 is not ours
            assert f'"{node.attrib["exec"]} = ' in (package / "setup.py").read_text()


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=name_of)
def test_show_args_lists_every_argument_with_its_text(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not cli.main(["launch", "edgecam_bringup", path.name, "--show-args"])
    shown = capsys.readouterr().out
    for arg in root_of(path).findall("arg"):
        assert f"'{arg.attrib['name']}':" in shown
        assert arg.attrib["description"] in shown


def test_a_launch_file_that_does_not_exist_is_named() -> None:
    done = subprocess.run(
        ["ros2", "launch", "edgecam_bringup", "no_such_file.launch.xml"],
        env=ros_environment(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode != 0
    assert "no_such_file.launch.xml" in done.stderr
    assert "Traceback" not in done.stderr


KEYSTORES = ("/no/such/keystore", '/no/such/"keys"', "/no/it's", "/no/back\\slash")


@pytest.mark.parametrize("keystore", KEYSTORES)
def test_security_reaches_every_node_of_the_pipeline(keystore: str) -> None:
    secured = processes("pipeline", security_keystore=keystore)
    assert len(secured) == 5
    expected = {"ENABLE": "true", "KEYSTORE": keystore, "STRATEGY": "Enforce", "ENCLAVE_OVERRIDE": "/edgecam"}
    for process in secured:
        assert {
            f"ROS_SECURITY_{name}": value for name, value in expected.items()
        }.items() <= process.environment.items()


def test_without_keys_no_node_starts_unprotected() -> None:
    # Each names the folder it searched, and ends.
    done = subprocess.run(
        ["ros2", "launch", "edgecam_bringup", "pipeline.launch.xml", f"security_keystore:={KEYSTORES[1]}"],
        env=ros_environment(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    text = done.stdout + done.stderr
    assert re.search(rf"\[\w+_node-\d\] error: .*{re.escape(KEYSTORES[1])}", text), text  # the first ends the launch
    assert "process has died" in text
