"""`<node>` becomes the same command line and parameter files as in launch_ros 0.28."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from launch_plan import Workbench
from ros2cli.launch.errors import LaunchError


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


def parameters(bench: Workbench, params: str, **arguments: str) -> dict[str, object]:
    """All parameters that a node `/cage/leo` gets."""
    args = "".join(f'<arg name="{name}"/>' for name in arguments)
    node = f'<node pkg="zoo" exec="lion" name="leo" namespace="cage">{params}</node>'
    (spec,) = bench.evaluate(args + node, **arguments).processes
    files = [spec.command[at + 1] for at, word in enumerate(spec.command) if word == "--params-file"]
    merged: dict[str, object] = {}
    for file in files:
        merged.update(yaml.safe_load(Path(file).read_text())["/cage/leo"]["ros__parameters"])
    return merged


def test_the_command_line(bench: Workbench) -> None:
    (command,) = bench.commands(
        """<node pkg="zoo" exec="lion" name="leo" namespace="cage" args="a 'b c'" ros_args="--log-level debug">
             <remap from="meat" to="/fridge/meat"/>
           </node>"""
    )
    assert command == (
        "lion", "a", "b c", "--ros-args", "--log-level", "debug",
        "--ros-args", "-r", "__node:=leo", "-r", "__ns:=/cage", "-r", "meat:=/fridge/meat",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ("", ()),
        ('name="leo"', ("-r", "__node:=leo")),
        ('namespace="/"', ("-r", "__ns:=/")),
        ('namespace=""', ("-r", "__ns:=/")),
        ('namespace="a/b/"', ("-r", "__ns:=/a/b")),
    ],
)
def test_names_are_passed_only_if_given(bench: Workbench, attributes: str, words: tuple[str, ...]) -> None:
    assert bench.commands(f'<node pkg="zoo" exec="lion" {attributes}/>') == [("lion", "--ros-args", *words)]


def test_scoped_namespace_parameters_and_remaps(bench: Workbench) -> None:
    inside, absolute, outside = bench.commands(
        """<group>
             <push-ros-namespace namespace="europe"/><push_ros_namespace namespace="alps"/>
             <set_parameter name="hungry" value="true"/><set_remap from="x" to="y"/>
             <node pkg="zoo" exec="lion" namespace="cage"/>
             <node pkg="zoo" exec="lion" namespace="/sea"><remap from="a" to="b"/></node>
           </group>
           <node pkg="zoo" exec="lion"/>"""
    )
    scope = ("-p", "hungry:=True", "-r", "x:=y")
    assert inside == ("lion", "--ros-args", "-r", "__ns:=/europe/alps/cage", *scope)
    assert absolute == ("lion", "--ros-args", "-r", "__ns:=/sea", *scope, "-r", "a:=b")
    assert outside == ("lion", "--ros-args")


@pytest.mark.parametrize(
    ("attributes", "value"),
    [
        ('value="5"', 5),
        ('value="5.0"', 5.0),
        ('value="1e3"', "1e3"),  # YAML 1.1 wants a dot in it
        ('value="true"', True),
        ('value="text"', "text"),
        ('value="a: b"', None),
        ("value=\"'5'\"", "5"),
        ('value="@home"', "@home"),
        ('value=""', ""),
        ('value="$(var five)"', 5),
        ('value="$(var five)" type="str"', "5"),
        ('value="$(var five)" type="float"', 5.0),
        ('value="$(var five)" type="bool"', None),
        ('value="5" type="int"', 5),
        ('value="x" type="int"', None),
        ('value="1" type="bool"', True),
        ('value="[1, 2]"', [1, 2]),
        ('value="[$(var five), 6]"', [5, 6]),
        ('value="[1, a]"', None),
        ('value="[a, b]" type="list_of_str"', ["a", "b"]),
        ('value="1;$(var five)" value-sep=";" type="list_of_float"', [1.0, 5.0]),
        ('value="a;b" value-sep=";"', ["a", "b"]),
        ('value="5" type="list_of_nothing"', None),
    ],
)
def test_typing_of_values(bench: Workbench, attributes: str, value: object) -> None:
    param = f'<param name="p" {attributes}/>'
    if value is None:
        with pytest.raises(LaunchError, match=r"<param>: "):
            parameters(bench, param, five="5")
    else:
        found = parameters(bench, param, five="5")["p"]
        assert (found, type(found)) == (value, type(value))


def test_nested_parameters(bench: Workbench) -> None:
    params = '<param name="a"><param name="b" value="1"/><param name="c"><param name="d" value="x"/></param></param>'
    assert parameters(bench, params) == {"a.b": 1, "a.c.d": "x"}


def test_a_node_without_full_name_gets_its_parameters_by_wildcard(bench: Workbench) -> None:
    (spec,) = bench.evaluate('<node pkg="zoo" exec="lion" name="leo"><param name="a" value="1"/></node>').processes
    assert yaml.safe_load(Path(spec.command[-1]).read_text()) == {"/**": {"ros__parameters": {"a": 1}}}


def test_a_parameter_file_with_substitutions(bench: Workbench) -> None:
    file = bench.folder / "params.yaml"
    file.write_text("/cage/leo:\n  ros__parameters:\n    den: $(var den)\n    price: 5$\n")
    param = f'<param from="{file}" allow_substs="true"/>'
    assert parameters(bench, param, den="south") == {"den": "south", "price": "5$"}
    param = f'<param from="{file}"/>'
    assert parameters(bench, param)["den"] == "$(var den)"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ('<param from="/no/such.yaml"/>', "there is no parameter file '/no/such.yaml'"),
        ('<param name="a"/>', "needs either a 'value' or child params"),
        ('<param value="a"/>', "needs a 'name' or a 'from'"),
        ('<param name="a" from="b"/>', "'from' cannot be combined with name"),
        ('<param name="a" value="1" allow_substs="true"/>', "'allow_substs' works only with 'from'"),
        ('<param name="a" value="$(frob)"/>', r"unknown substitution \$\(frob"),
        ('<param name="a" value="1" typ="int"/>', "unknown attribute 'typ'; did you mean 'type'"),
        ('<remap from="a"/>', "<remap>: attribute 'to' is missing"),
        ('<env name="A" value="1" if="true"/>', "<env>: unknown attribute 'if'"),
    ],
)
def test_wrong_children(bench: Workbench, params: str, message: str) -> None:
    with pytest.raises(LaunchError, match=r"top\.launch\.xml:2: .*" + message):
        parameters(bench, params)


def test_two_nodes_of_one_name_give_a_warning(bench: Workbench) -> None:
    bench.evaluate('<node pkg="zoo" exec="lion" name="leo" namespace="a"/>' * 2)
    (logged,) = bench.logged
    assert logged[:2] == ("WARNING", "lion-2")
    assert "at least 2 nodes with the name /a/leo" in logged[2]


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ('pkg="nope" exec="lion"', "package 'nope' not found"),
        ('pkg="zoo" exec="tiger"', "executable 'tiger' not found in .* which has: lion"),
        ('pkg="zoo" exec="lion" name="a-b"', "'a-b' is not a valid node name"),
        ('pkg="zoo" exec="lion" namespace="1a"', "'/1a' is not a valid namespace"),
        ('pkg="zoo" exec="lion" ns="a"', "unknown attribute 'ns'"),
        ('pkg="zoo"', "attribute 'exec' is missing"),
        ('pkg="zoo" exec="lion" respawn="maybe"', "attribute 'respawn': 'maybe' is not a boolean"),
        ('pkg="zoo" exec="lion" respawn_delay="$(var d)"', "substitutions are not allowed here"),
        ('pkg="zoo" exec="lion" sigterm_timeout="-1"', "must not be negative"),
        ('pkg="zoo" exec="lion" on_exit="restart"', "only 'shutdown' is known"),
        ('pkg="zoo" exec="lion" output="paper"', "'paper' is not a valid output"),
        ('pkg="zoo" exec="lion" cwd="/no/such"', "'/no/such' is not a directory"),
    ],
)
def test_wrong_attributes(bench: Workbench, attributes: str, message: str) -> None:
    with pytest.raises(LaunchError, match=r"top\.launch\.xml:2: <node>: .*" + message):
        bench.evaluate(f"<node {attributes}/>")
