"""Node names and namespaces."""

from __future__ import annotations

import re

_NODE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NAMESPACE = re.compile(r"/\Z|(/[A-Za-z_][A-Za-z0-9_]*)+\Z")


def join_namespace(base: str | None, name: str | None) -> str | None:
    """`name` under `base`, absolute; None only if both are. An absolute `name` is returned unchanged."""
    if name is None:
        joined = base
    elif not base or name.startswith("/"):
        joined = name
    else:
        joined = f"{'' if base == '/' else base}/{name}"
    if joined is None:
        return None
    if joined != "/":
        joined = joined.rstrip("/")
    return joined if joined.startswith("/") else "/" + joined


def full_name(namespace: str, name: str) -> str:
    """`/namespace/name`."""
    return f"{namespace.rstrip('/')}/{name}"


def valid_node_name(name: str) -> bool:
    """Letters, digits and underscores, no digit first."""
    return _NODE_NAME.match(name) is not None


def valid_namespace(namespace: str) -> bool:
    """Absolute, each part like a node name."""
    return _NAMESPACE.match(namespace) is not None
