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

"""Node names and namespaces."""

from __future__ import annotations

import re

_NODE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NAMESPACE = re.compile(r"/\Z|(/[A-Za-z_][A-Za-z0-9_]*)+\Z")


def join_namespace(base: str | None, name: str | None) -> str | None:
    """`name` under `base`, as an absolute name; None if both are None. An absolute `name` is returned unchanged."""
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
    """Whether a name consists of letters, digits and underscores and does not start with a digit."""
    return _NODE_NAME.match(name) is not None


def valid_namespace(namespace: str) -> bool:
    """Whether a namespace is absolute and its parts are like node names."""
    return _NAMESPACE.match(namespace) is not None
