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

"""Common names of the splits of a data set."""

from __future__ import annotations

_NAMES = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
    "trainval": "trainval", "default": "default",
}  # fmt: skip


def split_named(name: str) -> str | None:
    """``train``, ``val``, ``test``, ``trainval`` or ``default`` (CVAT's only list); None for any other name."""
    return _NAMES.get(name.strip().casefold())


def split_in(name: str) -> str | None:
    """The split in a longer name: ``instances_val2017`` is val; None if there is none."""
    lowered = name.casefold()
    return next((split for split in ("train", "val", "test") if split in lowered), None)
