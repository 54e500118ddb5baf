"""The table of tags: every module in this folder adds the ones in its `TAGS`."""

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
