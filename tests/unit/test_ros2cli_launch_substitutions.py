"""The values of the substitutions."""

from __future__ import annotations

from pathlib import Path

import pytest
from launch_plan import Workbench
from ros2cli.launch.errors import LaunchError


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$(var five)", "5"),
        ("$(var nope)", None),
        ("$(var nope 'a b')", "a b"),
        ("$(env HOME)", "/home/me"),
        ("$(env NOPE)", None),
        ("$(env NOPE $(var five))", "5"),
        ("$(eval '$(var five) + 1')", "6"),
        ("$(eval 'sqrt(4) + math.pi > 5')", "True"),
        ("$(eval 'os.sep' os)", "/"),
        ("$(eval '&quot;$(var five)&quot; != &quot;&quot;')", "True"),
        ("$(eval '1 +')", None),
        ("$(not true) $(not 0)", "false true"),
        ("$(not maybe)", None),
        ("$(and true 1) $(and true off)", "true false"),
        ("$(or false 0) $(or false on)", "false true"),
        ("$(equals 1 true) $(equals 1.0 1) $(equals a b)", "true true false"),
        ("$(not-equals a b)", "true"),
        ("$(if true $(var five) $(var nope))", "5"),
        ("$(if false x)", ""),
        ("$(command 'echo a b')", "a b\n"),
        ("$(command 'sh -c \\'exit 3\\'')", None),
        ("$(command no-such-program)", None),
        ("$(find-exec no-such-program)", None),
        ("$(find-pkg-share nope)", None),
    ],
)
def test_values(bench: Workbench, text: str, result: str | None) -> None:
    before = '<arg name="five" default="5"/>'
    if result is None:
        with pytest.raises(LaunchError, match=r"top\.launch\.xml:3: <log>: attribute 'message': "):
            bench.log(text, before)
    else:
        assert bench.log(text, before) == result


def test_packages_and_files(bench: Workbench) -> None:
    prefix = bench.prefix
    assert bench.log("$(find-pkg-prefix zoo) $(find-pkg-share zoo)") == f"{prefix} {prefix}/share/zoo"
    assert bench.log("$(exec-in-pkg lion zoo)") == f"{prefix}/lib/zoo/lion"
    assert bench.log("$(dirname) $(filename)") == f"{bench.folder} {bench.folder}/top.launch.xml"
    assert bench.log("$(find-exec sh)").endswith("/sh")


def test_set_env_changes_what_env_and_command_see(bench: Workbench) -> None:
    before = '<set_env name="ANIMAL" value="okapi"/>'
    assert bench.log("$(env ANIMAL) $(command 'printenv ANIMAL')", before) == "okapi okapi\n"


def test_anon_is_the_same_for_the_same_name(bench: Workbench) -> None:
    first, second, other = bench.log("$(anon a) $(anon a) $(anon b)").split()
    assert first == second != other
    assert first.startswith("a_")
    assert first.replace("_", "").isalnum()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$(nonsense x)", r"unknown substitution \$\(nonsense …\): known are and, anon"),
        ("$(optenv X)", r"use \$\(env NAME DEFAULT\)"),
        ("$(var a b c)", r"takes 1 to 2 argument\(s\), got 3"),
        ("$(dirname x)", r"takes 0 argument\(s\), got 1"),
    ],
)
def test_mistakes_are_found_even_if_a_condition_is_false(bench: Workbench, text: str, message: str) -> None:
    with pytest.raises(LaunchError, match=message):
        bench.evaluate(f'<group if="false"><log message="{text}"/></group>')
