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

"""The tags: every module in this folder adds its `TAGS`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache

from ros2cli.launch.schema import Tag


@lru_cache(maxsize=1)
def table() -> dict[str, Tag]:
    """All tags allowed in a `<launch>` or `<group>`, by name."""
    tags: dict[str, Tag] = {}
    for module in pkgutil.iter_modules(__path__):
        tags.update(importlib.import_module(f"{__name__}.{module.name}").TAGS)
    return tags
