"""The grammar of `$(…)`. The expected trees are those of launch 3.7.1."""

from __future__ import annotations

import pytest
from ros2cli.launch.errors import SubstitutionError
from ros2cli.launch.template import Call, Text, describe, parse

A, B = (Text("a"),), (Text("b"),)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", (Text(""),)),
        ("plain ' \" ( ) $ text", (Text("plain ' \" ( ) $ text"),)),
        (r"\$(var a)", (Text("$(var a)"),)),
        (r"a\\b", (Text(r"a\b"),)),
        ("$(dirname)/x", (Call("dirname", ()), Text("/x"))),
        ("$(var a)$(var b)", (Call("var", (A,)), Call("var", (B,)))),
        ("$(env a b)", (Call("env", (A, B)),)),
        ("$(var a$(var b))", (Call("var", ((Text("a"), Call("var", (B,))),)),)),
        ("$(eval 'a b')", (Call("eval", ((Text("a b"),),)),)),
        ("$(eval '$(var a) + \"x\"')", (Call("eval", ((Call("var", (A,)), Text(' + "x"')),)),)),
        ("$(eval \"$(var a) != ''\")", (Call("eval", ((Call("var", (A,)), Text(" != ''")),)),)),
        ("$(env a '')", (Call("env", (A, ())),)),
        (r"$(env a \(\))", (Call("env", (A, (Text("()"),))),)),
    ],
)
def test_text_is_parsed_into_a_tree(text: str, parts: object) -> None:
    assert parse(text) == parts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$(var a", r"expected '\)' after \$\(var"),
        ("$()", "expected the name of a substitution at column 3"),
        ("$( var a)", "expected the name"),
        ("$(var  a)", "expected an argument"),
        ("$(var 'a)", "no closing '"),
        ("$(var a'b')", 'unexpected "\'"'),
        ("$(eval (1))", r"unexpected '\('"),
        ("$(var 'a'b)", r"expected '\)'"),
    ],
)
def test_a_broken_substitution_is_an_error_with_its_place(text: str, message: str) -> None:
    with pytest.raises(SubstitutionError, match=message):
        parse(text)


def test_show_args_notation() -> None:
    assert describe(parse("$(env HOME)/x")) == "EnvVar('HOME') + '/x'"
    assert describe(parse("$(find-pkg-share a)/x")) == "FindPackageShare(pkg='a') + '/x'"
    assert describe(parse("$(eval '1 + $(var a b)')")) == "PythonExpr('1 + ' + LaunchConfig('a'), ['math'])"
    assert describe(parse("true")) == "'true'"
    assert describe(parse("")) == "''"
