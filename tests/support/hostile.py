"""Valid ROS messages with hostile values, as hypothesis strategies. Needs ROS."""

from __future__ import annotations

import math
import re
from importlib import import_module
from typing import Any

from hypothesis import strategies as st

TEXTS = ["", "nan", "1e999", "9" * 5000, "a/../b", "bgr8", "\u00e4\u2028", "{}", "'\"\\", "-1", "camera" * 300]
FLOATS = [0.0, -1.0, 1.0, 0.5, math.nan, math.inf, -math.inf, 3e38, -3e38, 1e-45]
SIZES = {"int8": (-(2**7), 2**7 - 1), "uint8": (0, 2**8 - 1), "octet": (0, 255), "char": (0, 255)}
SIZES |= {f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (16, 32, 64)}
SIZES |= {f"uint{bits}": (0, 2**bits - 1) for bits in (16, 32, 64)}


def messages(message_type: Any, depth: int = 4) -> st.SearchStrategy[Any]:
    """Instances of a message type whose fields are mostly extreme."""
    fields = message_type.get_fields_and_field_types()
    return st.builds(message_type, **{name: values(kind, depth) for name, kind in fields.items()})


def values(kind: str, depth: int) -> st.SearchStrategy[Any]:
    """Values of a field type as rosidl names it: ``uint8``, ``sequence<double>``, ``string<5>``, ``pkg/Name[3]``."""
    if array := re.fullmatch(r"(.+)\[(\d+)\]", kind):
        return st.lists(values(array[1], depth), min_size=int(array[2]), max_size=int(array[2]))
    if sequence := re.fullmatch(r"sequence<(.+?)(?:, (\d+))?>", kind):
        most = 3 if depth > 0 else 0
        return st.lists(values(sequence[1], depth), max_size=min(most, int(sequence[2] or most)))
    if kind.startswith(("string", "wstring")):
        limit = re.search(r"<(\d+)>", kind)
        return st.sampled_from(TEXTS).map(lambda text: text[: int(limit[1])] if limit else text)
    if kind == "boolean":
        return st.booleans()
    if kind in ("float", "double"):
        return st.sampled_from(FLOATS)
    if kind == "octet":
        return st.binary(min_size=1, max_size=1)
    if kind in SIZES:
        low, high = SIZES[kind]
        return st.sampled_from([low, high, 0, 1, min(high, 64), high - 1])
    return messages(interface(kind.replace("/", "/msg/")), depth - 1)


def interface(name: str) -> Any:
    """The class of ``package/msg/Name`` or ``package/srv/Name``."""
    package, kind, last = name.split("/")
    return getattr(import_module(f"{package}.{kind}"), last)
