"""What GStreamer knows about each piece of a pipeline text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from edgecam_core.explain.tokens import Token, tokens
from edgecam_core.media import elements, gst

# From the words of a factory's klass to what an element is called; the first that fits.
_ROLES = (
    ("Depayloader", "depayloader"), ("Payloader", "payloader"), ("Encoder", "encoder"), ("Decoder", "decoder"),
    ("Parser", "parser"), ("Demuxer", "demuxer"), ("Muxer", "muxer"), ("Source", "source"), ("Sink", "sink"),
    ("Converter", "converter"), ("Scaler", "scaler"), ("Effect", "effect filter"), ("Filter", "filter"),
    ("Generic", "generic element"), ("Network", "network element"),
)  # fmt: skip
MISSING = "NOT INSTALLED"


@dataclass(frozen=True)
class Row:
    """One piece: ``kind`` is element, property, capability, or reference."""

    text: str
    kind: str
    detail: str


@dataclass
class Explanation:
    """``rows`` in order of the text; ``missing`` elements; ``wrong``: what the pipeline would be refused for."""

    rows: list[Row] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def describe(text: str) -> Explanation:
    """Explain a launch text piece by piece; nothing is opened or started."""
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
                Row(token.text, "reference", "an element named elsewhere with name=, or one of its pads")
            )
        elif token.kind == "other":
            result.wrong.append(f"{token.text!r} is neither element, property nor capability")
    return result


def _element(name: str, result: Explanation) -> Any:
    factory = gst.load().ElementFactory.find(name)
    if factory is None:
        remedy = elements.remedy(name)
        result.missing.append(name)
        result.rows.append(Row(name, "element", f"{MISSING}: {remedy}"))
        return None
    words = factory.get_metadata("klass").split("/")
    role = next((told for word, told in _ROLES if word in words), "element")
    package = elements.package(name)
    where = f" [{package}]" if package else ""
    result.rows.append(Row(name, "element", f"{role} ({'/'.join(words)}): {factory.get_metadata('long-name')}{where}"))
    return factory.create(None)


def _property(token: Token, current: tuple[str, Any] | None, result: Explanation) -> None:
    if current is None:
        result.wrong.append(f"property {token.text} stands before any element")
        return
    name, element = current
    if element is None:
        result.rows.append(Row(token.text, "property", f"cannot be checked: {name} is not installed"))
        return
    spec = element.find_property(token.name)
    if spec is None and token.name != "name":
        result.wrong.append(f"{name} has no property {token.name!r}")
        result.rows.append(Row(token.text, "property", f"UNKNOWN: {name} has no such property"))
        return
    kind, allowed = _type(spec)
    default = _default(spec)
    if kind == "enum" and token.value not in _enum_words(spec):
        result.wrong.append(f"{name} {token.name}={token.value}: must be one of {allowed}")
    parts = [kind, allowed, f"default {default}" if default else "", (spec.blurb or "").rstrip(".")]
    result.rows.append(Row(token.text, "property", "; ".join(part for part in parts if part)))


def _type(spec: Any) -> tuple[str, str]:
    """The type in plain words and what values are allowed."""
    kind = spec.value_type
    if kind.is_a("GEnum"):
        return "enum", ", ".join(value.nick for value in gst.enum_values(spec))
    name = kind.name.removeprefix("g")
    plain = {"chararray": "string", "uint": "unsigned int", "uint64": "unsigned int 64", "int64": "int 64"}
    low, high = getattr(spec, "minimum", None), getattr(spec, "maximum", None)
    return plain.get(name, name), f"{low} to {high}" if low is not None and high is not None else ""


def _enum_words(spec: Any) -> set[str]:
    """Everything that launch text may say for a value."""
    return {word for value in gst.enum_values(spec) for word in (value.nick, value.name, str(value.number))}


def _default(spec: Any) -> str:
    value = spec.default_value
    if value is None:
        return ""
    if spec.value_type.is_a("GEnum"):
        return next((each.nick for each in gst.enum_values(spec) if each.number == int(value)), "")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _caps(token: Token, result: Explanation) -> None:
    text = token.text.strip("\"'")
    caps = gst.load().Caps.from_string(text)
    if caps is None:
        result.wrong.append(f"{text} is no valid capability")
        result.rows.append(Row(text, "capability", "INVALID"))
        return
    for index in range(caps.get_size()):
        structure, features = gst.structure_of(caps.get_structure(index)), caps.get_features(index)
        memory = features.to_string() if features else ""
        note = f", in {memory.removeprefix('memory:')} memory" if memory not in ("", "memory:SystemMemory") else ""
        result.rows.append(Row(structure.name, "capability", f"media type that may pass here{note}"))
        for name, kind, value in _fields(structure.text):
            result.rows.append(Row(f"  {name}={value}", "capability", f"field of type {kind}"))


def _fields(structure: str) -> list[tuple[str, str, str]]:
    """Name, type and value of each field, from the structure's own text (fractions have no Python value)."""
    pattern = r'([\w-]+)=\(([^)]*)\)((?:"(?:\\.|[^"\\])*"|\{[^}]*\}|\[[^\]]*\]|[^,;]+))'
    return [(name, kind, value.strip()) for name, kind, value in re.findall(pattern, structure)]
