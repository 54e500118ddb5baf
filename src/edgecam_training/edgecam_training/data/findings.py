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

"""Counts what was used, repaired, ignored and dropped while reading a data set; one table for all layouts.

``used`` boxes and images are counted from the data set itself. ``repaired`` and ``ignored`` ones are still in it;
``dropped`` ones are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edgecam_training.data.text_files import flag

REPAIRED, IGNORED, DROPPED, NOTED = "repaired", "ignored", "dropped", "note"
ALLOWED = 5.0  # percent of the boxes that may be dropped unless more is allowed
LEAST_SCORED = 50  # images with boxes; on fewer, one point of mAP is not significant
_ORDER = (REPAIRED, IGNORED, DROPPED, NOTED)
_SHOWN = 90  # characters of an example


@dataclass
class DataFinding:
    """One row: ``count`` of ``item`` (boxes, images, files) had this ``fate`` for this ``reason``.

    ``example`` names the first.
    """

    fate: str
    item: str
    reason: str
    count: int = 0
    example: str = ""


class Findings:
    """Rows in the order they were first added. One thread."""

    def __init__(self, rows: Iterable[DataFinding] = ()) -> None:
        self._rows: dict[tuple[str, str, str], DataFinding] = {}
        for row in rows:
            self.add(row.fate, row.item, row.reason, row.count, row.example)

    def add(self, fate: str, item: str, reason: str, count: int = 1, example: object = "") -> None:
        """Count ``count`` more; nothing happens for 0."""
        if count:
            row = self._rows.setdefault((fate, item, reason), DataFinding(fate, item, reason, 0, str(example)))
            row.count += count

    def repaired(self, item: str, reason: str, count: int = 1, example: object = "") -> None:
        self.add(REPAIRED, item, reason, count, example)

    def ignored(self, item: str, reason: str, count: int = 1, example: object = "") -> None:
        self.add(IGNORED, item, reason, count, example)

    def dropped(self, item: str, reason: str, count: int = 1, example: object = "") -> None:
        self.add(DROPPED, item, reason, count, example)

    def noted(self, item: str, reason: str, count: int = 1, example: object = "") -> None:
        self.add(NOTED, item, reason, count, example)

    def flag(self, name: str, value: object, example: object = "") -> bool:
        """A yes or no of a box; anything else is read as no, and noted."""
        answer = flag(value)
        self.noted("boxes", f"'{name}' is neither yes nor no: read as no", int(answer is None), f"{example}: {value}")
        return bool(answer)

    def __iter__(self) -> Iterator[DataFinding]:
        return iter(sorted(self._rows.values(), key=lambda row: _ORDER.index(row.fate)))

    def __bool__(self) -> bool:
        return bool(self._rows)

    def copy(self) -> Findings:
        return Findings(self._rows.values())

    def count(self, fate: str, item: str) -> int:
        return sum(row.count for row in self._rows.values() if (row.fate, row.item) == (fate, item))

    def counts(self) -> dict[str, int]:
        """``"fate item: reason"`` -> count, for reports and tests."""
        return {f"{row.fate} {row.item}: {row.reason}": row.count for row in self}

    def lines(self) -> list[str]:
        """The rows as aligned text."""
        rows = list(self)
        wide = max((len(str(row.count)) for row in rows), default=1)
        return [f"{row.fate:<9} {row.count:>{wide}} {row.item:<7} {row.reason}" + _example(row.example) for row in rows]


def _example(text: str) -> str:
    if not text:
        return ""
    return f", first {text if len(text) <= _SHOWN else '…' + text[1 - _SHOWN :]}"
