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

"""Interface types by name."""

from __future__ import annotations

import importlib
from typing import Any

from ros2cli.errors import CliError


def _load(name: str, kind: str) -> Any:
    parts = name.split("/")
    if len(parts) == 2:
        parts.insert(1, kind)
    if len(parts) != 3 or not all(parts):
        return None
    try:
        return getattr(importlib.import_module(".".join(parts[:2])), parts[2], None)
    except ModuleNotFoundError:
        return None


def message_type(name: str) -> Any:
    """The class of `package/msg/Name` (or `package/Name`). Raises CliError."""
    found = _load(name, "msg")
    if not hasattr(found, "SLOT_TYPES"):
        raise CliError(f"The message type '{name}' is invalid: not found in this environment")
    return found


def service_type(name: str) -> Any:
    """The class of `package/srv/Name` (or `package/Name`). Raises CliError."""
    found = _load(name, "srv")
    if not hasattr(found, "Request") or not hasattr(found, "Response"):
        raise CliError(f"The service type '{name}' is invalid: not found in this environment")
    return found
