# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Describes each token of a launch text with GStreamer's metadata."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from edgecam_core.explain import jetson
from edgecam_core.explain.tokens import Token, tokens
from edgecam_core.media import elements, gst

# Words in a factory's klass and the role of the element; the first match counts.
_ROLES = (
    ("Depayloader", "depayloader"), ("Payloader", "payloader"), ("Encoder", "encoder"), ("Decoder", "decoder"),
    ("Parser", "parser"), ("Demuxer", "demuxer"), ("Muxer", "muxer"), ("Source", "source"), ("Sink", "sink"),
    ("Converter", "converter"), ("Scaler", "scaler"), ("Effect", "effect filter"), ("Filter", "filter"),
    ("Generic", "generic element"), ("Network", "network element"),
)  # fmt: skip
MISSING = "NOT INSTALLED"


@dataclass(frozen=True)
class TokenDescription:
    """One token of the launch text; ``kind`` is element, property, capability or reference."""

    text: str
    kind: str
    detail: str


@dataclass
class Explanation:
    """The description of a launch text: ``rows`` in its order, ``missing`` elements, and errors (``wrong``)."""

    rows: list[TokenDescription] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def describe(text: str) -> Explanation:
    """Describe a launch text token by token; opens and starts nothing."""
    result = Explanation()
    current: tuple[str, Any] | None = None
    for token in tokens(text):
        if token.kind == "element":
            current = token.text, _element(token.text, result)
        elif token.kind == "property":
            _property(token, current, result)
        elif token.kind == "caps":
            _caps(token, result)
        elif token.kind == "reference":
            result.rows.append(
                TokenDescription(
                    token.text, "reference", "an element that is named elsewhere with name=, or one of its pads"
                )
            )
        elif token.kind == "other":
            result.wrong.append(f"{token.text!r} is not an element, property or capability")
    return result


def _element(name: str, result: Explanation) -> Any:
    factory = gst.load().ElementFactory.find(name)
    if factory is None:
        result.missing.append(name)
        result.rows.append(TokenDescription(name, "element", _missing(name)))
        return None
    words = factory.get_metadata("klass").split("/")
    role = next((role_name for word, role_name in _ROLES if word in words), "element")
    package = elements.package(name)
    where = f" [{package}]" if package else ""
    result.rows.append(
        TokenDescription(name, "element", f"{role} ({'/'.join(words)}): {factory.get_metadata('long-name')}{where}")
    )
    return factory.create(None)


def _missing(name: str) -> str:
    """The description of an element that is not installed."""
    remedy = elements.remedy(name)
    if known := jetson.table().get(name):
        if name.startswith("nv"):
            remedy = elements.JETPACK
        return f"{known.kind}: {known.meaning}; {MISSING}: {remedy}; alternative on this machine: {known.instead}"
    near = get_close_matches(name, [*_installed(), *jetson.table()], n=2, cutoff=0.75)
    if near and not elements.package(name):
        return f"{MISSING}: did you mean {' or '.join(near)}? {remedy}"
    return f"{MISSING}: {remedy}"


@functools.cache
def _installed() -> tuple[str, ...]:
    """The names of all installed elements."""
    g = gst.load()
    found = g.Registry.get().get_feature_list(g.ElementFactory.__gtype__)
    return tuple(feature.get_name() for feature in found)


def _property_of_missing(token: Token, name: str, result: Explanation) -> None:
    known = jetson.table().get(name)
    if known is None:
        result.rows.append(TokenDescription(token.text, "property", f"cannot be checked: {name} is not installed"))
        return
    spec = known.properties.get(token.name)
    if spec is None:
        _unknown_property(token, name, known.properties, result)
        return
    if must := spec.refuses(token.value):
        result.wrong.append(f"{name} {token.name}={token.value}: must be {must}")
    allowed = spec.allowed.replace("..", " to ").replace(",", ", ")
    parts = [spec.kind, allowed, f"default {spec.default}" if spec.default else "", spec.meaning]
    result.rows.append(TokenDescription(token.text, "property", "; ".join(part for part in parts if part)))


def _unknown_property(token: Token, name: str, known: Iterable[str], result: Explanation) -> None:
    near = get_close_matches(token.name, list(known), n=2, cutoff=0.6)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    result.wrong.append(f"{name} has no property {token.name!r}{hint}")
    result.rows.append(TokenDescription(token.text, "property", f"UNKNOWN: {name} has no such property{hint}"))


def _property(token: Token, current: tuple[str, Any] | None, result: Explanation) -> None:
    if current is None:
        result.wrong.append(f"property {token.text} precedes any element")
        return
    name, element = current
    if element is None:
        _property_of_missing(token, name, result)
        return
    spec = element.find_property(token.name)
    if spec is None:
        names = [each.name for each in element.list_properties()]
        if "::" in token.name:  # property of a child such as a pad, known only once the pipeline is built
            result.rows.append(TokenDescription(token.text, "property", f"property of a child of {name}"))
        else:
            _unknown_property(token, name, names, result)
        return
    kind, allowed = _type(spec)
    default = _default(spec)
    if must := _refuses(spec, kind, allowed, token.value):
        result.wrong.append(f"{name} {token.name}={token.value}: must be {must}")
    parts = [kind, allowed, f"default {default}" if default else "", (spec.blurb or "").rstrip(".")]
    result.rows.append(TokenDescription(token.text, "property", "; ".join(part for part in parts if part)))


def _type(spec: Any) -> tuple[str, str]:
    """The name of the type and the allowed values."""
    kind = spec.value_type
    if kind.is_a("GEnum"):
        return "enum", ", ".join(value.nick for value in gst.enum_values(spec))
    if kind.is_a("GFlags"):
        return "flags", " + ".join(gst.flag_nicks(spec))
    name = kind.name.removeprefix("g")
    plain = {"chararray": "string", "uint": "unsigned int", "uint64": "unsigned int 64", "int64": "int 64"}
    low, high = getattr(spec, "minimum", None), getattr(spec, "maximum", None)
    return plain.get(name, name), f"{low} to {high}" if low is not None and high is not None else ""


def _refuses(spec: Any, kind: str, allowed: str, value: str) -> str:
    """What the value must be, if it is invalid; otherwise empty."""
    if kind == "enum":
        return "" if value in _enum_words(spec) else f"one of {allowed}"
    if kind == "flags":
        words = [word for word in re.split(r"[+|]", value.strip("\"'")) if word]
        known = gst.flag_nicks(spec)
        valid = not known or all(word in known or word.isdecimal() or word.startswith("0x") for word in words)
        return "" if valid else f"one or more of {allowed}"
    value = re.sub(r"^\(\w+\)\s*", "", value)
    number = jetson.Property(kind, f"{spec.minimum}..{spec.maximum}" if allowed else "", "", "")
    return number.refuses(value) if kind == "boolean" or allowed else ""


def _enum_words(spec: Any) -> set[str]:
    """All spellings of a value that launch text accepts."""
    return {word for value in gst.enum_values(spec) for word in (value.nick, value.name, str(value.number))}


def _default(spec: Any) -> str:
    value = spec.default_value
    if value is None:
        return ""
    if spec.value_type.is_a("GEnum"):
        return next((each.nick for each in gst.enum_values(spec) if each.number == int(value)), "")
    if spec.value_type.is_a("GFlags"):
        return "+".join(nick for nick, number in gst.flag_nicks(spec).items() if number & int(value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _caps(token: Token, result: Explanation) -> None:
    text = token.text.strip("\"'")
    caps = gst.load().Caps.from_string(text)
    if caps is None:
        result.wrong.append(f"{text} is not a valid capability")
        result.rows.append(TokenDescription(text, "capability", "INVALID"))
        return
    for index in range(caps.get_size()):
        structure, features = gst.structure_of(caps.get_structure(index)), caps.get_features(index)
        memory = features.to_string() if features else ""
        note = f", in {memory.removeprefix('memory:')} memory" if memory not in ("", "memory:SystemMemory") else ""
        result.rows.append(TokenDescription(structure.name, "capability", f"media type that may pass{note}"))
        for name, kind, value in _fields(structure.text):
            result.rows.append(TokenDescription(f"  {name}={value}", "capability", f"field of type {kind}"))


def _fields(structure: str) -> list[tuple[str, str, str]]:
    """Name, type and value of each field, from the text of the structure (fractions have no Python value)."""
    pattern = r'([\w-]+)=\(([^)]*)\)((?:"(?:\\.|[^"\\])*"|\{[^}]*\}|\[[^\]]*\]|[^,;]+))'
    return [(name, kind, value.strip()) for name, kind, value in re.findall(pattern, structure)]
