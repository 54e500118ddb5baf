"""Stand-ins for TensorRT objects: every member and argument is checked against the real bindings.

pybind11 writes each method's signature into its docstring. A :class:`Checked` object has exactly the members of its
class in this version; a call must fit one of the signatures, enums and classes by type; it returns what the test
scripted, else a value of the annotated type. Calls and assigned values are recorded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any


class Misuse(AssertionError):
    """Something that this version of TensorRT would refuse."""


class Checked:
    """``script`` maps member names to values, or to functions that are called with the arguments."""

    def __init__(self, trt: Any, cls: type, script: dict[str, Any] | None = None) -> None:
        vars(self).update(_trt=trt, _cls=cls, _script=script or {}, calls=[], values={})

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._cls, name, None)
        if member is None:
            raise AttributeError(f"{self._cls.__name__} of TensorRT {self._trt.__version__} has no {name}")
        if isinstance(member, property):
            return self.values.get(name, self._script.get(name))
        return lambda *arguments, **named: self._called(name, member, arguments, named)

    def __setattr__(self, name: str, value: Any) -> None:
        member = getattr(self._cls, name, None)
        if not isinstance(member, property) or member.fset is None:
            raise Misuse(f"{self._cls.__name__}.{name} cannot be set in TensorRT {self._trt.__version__}")
        self.values[name] = value

    def _called(self, name: str, member: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        returned = check_call(self._trt, f"{self._cls.__name__}.{name}", member.__doc__ or "", arguments, named)
        self.calls.append((name, arguments))
        scripted = self._script.get(name)
        if callable(scripted):
            return scripted(*arguments, **named)
        if scripted is not None:
            return scripted
        kind = getattr(self._trt, returned.rpartition(".")[2], None)
        return Checked(self._trt, kind) if isinstance(kind, type) else {"bool": True, "int": 0, "str": ""}.get(returned)


class Module:
    """The real module, with classes that need the library replaced by scripted ones."""

    def __init__(self, trt: Any, scripts: dict[str, dict[str, Any]]) -> None:
        self._trt, self._scripts = trt, scripts
        self.made: dict[str, list[Checked]] = {name: [] for name in scripts}
        self.called: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._trt, name)
        if name in self._scripts:
            return lambda *arguments: self._make(name, member, arguments)
        if callable(member) and not isinstance(member, type) and "(" in (member.__doc__ or ""):
            return self._function(name, member)
        return member

    def _make(self, name: str, cls: Any, arguments: tuple[Any, ...]) -> Checked:
        check_call(self._trt, name, cls.__init__.__doc__ or "", arguments, {})
        self.made[name].append(Checked(self._trt, cls, self._scripts[name]))
        return self.made[name][-1]

    def _function(self, name: str, member: Any) -> Callable[..., Any]:
        if not (member.__doc__ or "").lstrip().startswith(f"{name}("):
            return member  # a Python function of the package

        def call(*arguments: Any) -> Any:
            check_call(self._trt, name, member.__doc__, arguments, {}, method=False)
            self.called.append((name, arguments))
            return True

        return call


def check_call(
    trt: Any, what: str, text: str, arguments: tuple[Any, ...], named: dict[str, Any], method: bool = True
) -> str:
    """The annotated return type of a call. Raises Misuse if no signature in a docstring accepts the arguments."""
    problems = []
    for parameters, returned in signatures(text):
        parameters = parameters[1:] if method else parameters
        problem = _problem(trt, parameters, arguments, named)
        if not problem:
            return returned
        problems.append(problem)
    raise Misuse(f"{what} of TensorRT {trt.__version__}: {'; '.join(problems) or 'no signature'}")


def signatures(text: str) -> list[tuple[list[str], str]]:
    """Parameters (``name: type = default``) and return type of each overload in a pybind11 docstring."""
    found = []
    for line in text.splitlines():
        match = re.match(r"\s*(?:\d+\. )?\w+\((.*)\) -> (.+)$", line)
        if match and match[1] != "*args, **kwargs":
            found.append((_split(match[1]), match[2].strip()))
    return found


def _split(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for place, letter in enumerate(text):
        depth += letter in "([{<"
        depth -= letter in ")]}>"
        if letter == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()] if text.strip() else []


def _problem(trt: Any, parameters: list[str], arguments: tuple[Any, ...], named: dict[str, Any]) -> str:
    if len(arguments) > len(parameters):
        return f"{len(arguments)} arguments, takes {len(parameters)}"
    for place, parameter in enumerate(parameters):
        name, _, rest = parameter.partition(":")
        annotated, _, default = rest.partition(" = ")
        if place < len(arguments):
            value = arguments[place]
        elif name in named:
            value = named[name]
        elif default or "=" in parameter:
            continue
        else:
            return f"{name} is missing"
        if not _fits(trt, annotated.strip(), value):
            return f"{name} must be {annotated.strip()}, not {type(value).__name__}"
    known = {parameter.partition(":")[0] for parameter in parameters}
    return f"no parameter {', '.join(set(named) - known)}" if set(named) - known else ""


def _fits(trt: Any, annotated: str, value: Any) -> bool:
    plain = {"int": int, "typing.SupportsInt": int, "bool": bool, "str": str, "buffer": bytes}
    if annotated in plain:
        return isinstance(value, plain[annotated])
    if "Buffer" in annotated:
        return isinstance(value, bytes)
    kind = getattr(trt, annotated.rpartition(".")[2], None)
    if not isinstance(kind, type) or annotated.endswith("Dims"):
        return True  # sequences, capsules, types of C++
    return isinstance(value, kind) or (isinstance(value, Checked) and issubclass(value._cls, kind))
