"""Arguments, scopes, includes, executables; nothing is ignored silently."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from launch_plan import Workbench
from ros2cli.launch import evaluate
from ros2cli.launch.errors import LaunchError
from ros2cli.launch.runner import parse_arguments
from ros2cli.launch.show_args import show_arguments


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("<nod/>", r"<nod>: unknown tag in <launch>; did you mean 'node'\? known are: "),
        ("<timer/>", "<timer>: ros2 launch supports this tag, but this small replacement does not"),
        ('<log message="x"><arg name="a"/></log>', "<arg>: <log> has no child tags"),
        ('<log message="x" level="info"/>', "<log>: unknown attribute 'level'"),
        ('<log mesage="x"/>', r"<log>: unknown attribute 'mesage'; did you mean 'message'\?"),
        ('<executable cmd="true" emulate_tty="true"/>', "ros2 launch supports the attribute 'emulate_tty'"),
        ("<let name='a'/>", "<let>: attribute 'value' is missing"),
        ("stray words", "text between tags has no meaning here: 'stray words'"),
        ('<log message="x" if="1" unless="1"/>', "if and unless can't be used together"),
        ('<log message="x" if="maybe"/>', r"attribute 'if': expected one of \[true, 1, false, 0\]"),
        ('<group scoped="$(var a)"/>', "<group>: attribute 'scoped': .*substitutions are not allowed"),
        ('<arg name="a"/>', r"<arg>: required argument 'a' \(no description given\) is missing, given: \[\]"),
        ('<arg name="a" default="1"><choice value="2"/></arg>', r"argument 'a' is '1', valid options are: \['2'\]"),
        ('<executable cmd="/no/such/thing"/>', "there is no executable '/no/such/thing'"),
        ('<executable cmd="echo \'a"/>', "No closing quotation"),
        ('<executable cmd="echo" launch-prefix="no-such-debugger"/>', "no executable 'no-such-debugger'"),
    ],
)
def test_an_error_has_its_file_and_line(bench: Workbench, body: str, message: str) -> None:
    with pytest.raises(LaunchError, match=r"top\.launch\.xml:2: .*" + message):
        bench.evaluate(body)


def test_broken_files(bench: Workbench) -> None:
    broken = bench.write("broken.xml", "<node")
    with pytest.raises(LaunchError, match=r"broken\.xml:3: not well-formed XML"):
        evaluate.load(broken)
    with pytest.raises(LaunchError, match=r"cannot read launch file '/no/such\.xml'"):
        evaluate.load(Path("/no/such.xml"))
    with pytest.raises(LaunchError, match="not an XML launch file"):
        evaluate.load(Path("x.launch.py"))
    broken.write_text("<robot/>")
    with pytest.raises(LaunchError, match="expected <launch> as the root tag"):
        evaluate.load(broken)


def test_malformed_command_line_arguments() -> None:
    assert parse_arguments(["a:=1", "b:=x:=y", "a:=2"]) == {"a": "2", "b": "x:=y"}
    for word in ("a", ":=1", "a:=", "a=1"):
        with pytest.raises(LaunchError, match=f"malformed launch argument '{word}'"):
            parse_arguments([word])


def test_an_undeclared_argument(bench: Workbench) -> None:
    body = '<arg name="source" default="x"/><log message="$(var source) $(var undeclared none)"/>'
    bench.evaluate(body, sorce="y", nonsense="z")
    warnings = [text for level, _, text in bench.logged if level == "WARNING"]
    assert len(warnings) == 2
    assert "has no argument 'sorce', it is ignored; did you mean 'source'?" in warnings[0]
    bench.logged.clear()
    bench.evaluate(body, source="y", undeclared="used all the same", sigterm_timeout="1")
    assert [level for level, _, _ in bench.logged] == ["INFO"]


def test_an_argument_declared_behind_a_false_condition(bench: Workbench) -> None:
    bench.write("viewer.launch.xml", '<arg name="port" default="1"/>')
    bench.evaluate('<group if="false"><include file="$(dirname)/viewer.launch.xml"/></group>', port="2")
    bench.evaluate('<include if="false" file="$(env WHO_KNOWS)"/>', anything="goes")


def test_includes_pass_arguments_and_leak_like_ros2_launch(bench: Workbench) -> None:
    sub = bench.folder / "sub"
    sub.mkdir()
    bench.write(
        "sub/inner.launch.xml",
        '<arg name="a" default="1"/><let name="leak" value="yes"/><set_env name="E" value="set"/>'
        '<log message="inner $(dirname) a=$(var a) b=$(var b none)"/>',
    )
    bench.evaluate(
        '<include file="$(dirname)/sub/inner.launch.xml"><let name="a" value="2"/><arg name="b" value="3"/></include>'
        '<log message="outer $(dirname) $(var a) $(var leak) $(env E)"/>'
        '<group><let name="c" value="1"/><include file="$(dirname)/sub/inner.launch.xml"/></group>'
        '<log message="$(var c gone)"/>'
    )
    texts = [text for _, _, text in bench.logged]
    assert texts == [
        f"inner {sub} a=2 b=3",
        f"outer {bench.folder} 2 yes set",
        f"inner {sub} a=2 b=3",
        "gone",
    ]


def test_mistakes_in_and_about_an_included_file(bench: Workbench) -> None:
    bench.write("inner.launch.xml", '<arg name="need"/>')
    include = '<include file="$(dirname)/inner.launch.xml">{}</include>'
    with pytest.raises(LaunchError, match=r"top\.launch\.xml:2: <include>: .*inner\.launch\.xml:2: <arg>: required"):
        bench.evaluate(include.format(""))
    bench.evaluate(include.format('<arg name="need" value="1"/><arg name="ned" value="1"/>'))
    assert re.search(
        r"top\.launch\.xml:2: <include>: .* no argument 'ned', it is ignored; did you mean 'need'", bench.logged[-1][2]
    )
    with pytest.raises(LaunchError, match=r"top\.launch\.xml:2: <include>: .*cannot read launch file"):
        bench.evaluate('<include file="$(dirname)/nope.xml"/>')
    with pytest.raises(LaunchError, match="nested more than"):
        bench.evaluate('<include file="$(filename)"/>')


def test_scopes(bench: Workbench) -> None:
    text = "$(var v none) $(env T none)"
    inner = '<let name="v" value="1"/><set_env name="T" value="1"/>'
    assert bench.log(text, f"<group>{inner}</group>") == "none none"
    assert bench.log(text, f'<group scoped="false">{inner}</group>') == "1 1"


def test_environment_of_processes(bench: Workbench) -> None:
    first, second, third = bench.evaluate(
        """<set_env name="A" value="1"/><append_env name="A" value="2"/>
           <append_env name="A" value="0" prepend="true" separator=";"/>
           <executable cmd="true"><env name="B" value="$(env A)"/></executable>
           <group><unset_env name="A"/><unset_env name="NEVER_SET"/><executable cmd="true"/></group>
           <executable cmd="true"/>"""
    ).processes
    assert (first.environment["A"], first.environment["B"]) == ("0;1:2", "0;1:2")
    assert "A" not in second.environment
    assert third.environment["A"] == "0;1:2"
    assert "B" not in third.environment


def test_conditions(bench: Workbench) -> None:
    bench.evaluate(
        """<arg name="v" default="true"/>
           <log message="a" if="$(var v)"/><log message="b" unless="$(var v)"/><log message="c" if=" TRUE "/>
           <group unless="0"><log message="d"/></group>
           <log message="e" if="$(eval '&quot;$(var v)&quot; == &quot;&quot;')"/>"""
    )
    assert [text for _, _, text in bench.logged] == ["a", "c", "d"]


@pytest.mark.parametrize(
    ("cmd", "words"),
    [
        ("printf a 'b c' &quot;d e&quot;", ("printf", "a", "b c", "d e")),
        ("printf $(var two)", ("printf", "x y")),
        ("printf $(var two)/z $(var two)$(var two) -$(var two)", ("printf", "x y/z", "x yx y", "-x y")),
        ("printf $(var none) end", ("printf", "", "end")),
        ("  printf  a ", ("printf", "a")),
    ],
)
def test_command_lines_are_split_like_a_shell_does(bench: Workbench, cmd: str, words: tuple[str, ...]) -> None:
    before = '<let name="two" value="x y"/><let name="none" value=""/>'
    assert bench.commands(f'{before}<executable cmd="{cmd}"/>') == [words]


def test_process_attributes(bench: Workbench) -> None:
    plain, full = bench.evaluate(
        """<executable cmd="sleep 1"/>
           <executable cmd="sleep 1" name="nap" output="screen" respawn="true" respawn_delay="0.5" cwd="/tmp"
             respawn_max_retries="2" sigterm_timeout="1" sigkill_timeout="2.5" on_exit="shutdown" shell="true"/>""",
        sigterm_timeout="7",
    ).processes
    assert (plain.name, plain.output, plain.respawn, plain.required) == ("sleep-1", "log", False, False)
    assert (plain.sigterm_timeout, plain.sigkill_timeout) == (7.0, 5.0)
    assert (full.name, full.output, full.respawn, full.required) == ("nap-2", "screen", True, True)
    assert (full.respawn_delay, full.respawn_max_retries) == (0.5, 2)
    assert (full.sigterm_timeout, full.sigkill_timeout, full.cwd, full.shell) == (1.0, 2.5, "/tmp", True)


def test_launch_prefix(bench: Workbench) -> None:
    body = '<executable cmd="sleep 1" launch-prefix="nice -n 1"/><executable cmd="true"/><executable cmd="sleep 2"/>'
    arguments = {"launch-prefix": "env A=1", "launch-prefix-filter": "sl.*"}
    assert bench.commands(body, **arguments) == [
        ("nice", "-n", "1", "sleep", "1"),
        ("true",),
        ("env", "A=1", "sleep", "2"),
    ]


def test_show_args(bench: Workbench) -> None:
    bench.write("inner.launch.xml", '<arg name="deep" default="$(var a)"/>')
    path = bench.write(
        "top.launch.xml",
        """<arg name="a" description="the a"/>
           <arg name="b" default="1" description="b"><choice value="1"/><choice value="2"/></arg>
           <include file="$(dirname)/inner.launch.xml"/>
           <include file="$(var a)/unknown.xml"/>
           <group if="$(var b)"><arg name="late" default=""/></group>""",
    )
    assert show_arguments(path) == (
        "Arguments (pass arguments as '<name>:=<value>'):\n"
        "\n    'a':\n        the a"
        "\n\n    'b':\n        b. Valid choices are: ['1', '2']\n        (default: '1')"
        "\n\n    'deep':\n        no description given\n        (default: LaunchConfig('a'))"
        "\n\n    'late':*\n        no description given\n        (default: '')"
        "\n\n* argument(s) which are only used if specific conditions occur"
    )
    assert show_arguments(bench.write("none.xml", "")).endswith("\n\n  No arguments.")
