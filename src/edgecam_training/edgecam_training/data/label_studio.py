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

"""Label Studio's JSON export (https://labelstud.io/guide/export): a list of tasks, next to the images.

Corners are percent of the image. Of several annotations of a task the newest that was not cancelled counts; a task
with predictions alone was not seen by a person and is left out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

from edgecam_training.data.dataset import Dataset, Sample
from edgecam_training.data.findings import Findings
from edgecam_training.data.image_files import ImageIndex, ImageNotFound, hidden
from edgecam_training.data.rotated import around, upright
from edgecam_training.data.splits import split_named
from edgecam_training.data.text_files import class_name, read_text
from edgecam_training.errors import DatasetError

_KINDS = ("rectanglelabels", "rectangle", "polygonlabels", "ellipselabels")
_UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # Label Studio's prefix of uploaded files
_HEAD = re.compile(rb'^\s*\[\s*\{.{0,20000}?"(annotations|predictions|completions)"\s*:', re.DOTALL)


def fits(root: Path) -> bool:
    return bool(_files(root))


def _files(root: Path) -> list[Path]:
    found = [root] if root.is_file() else sorted(root.glob("*.json"))
    return [path for path in found if path.suffix == ".json" and not hidden(path) and _HEAD.search(_start(path))]


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(65536)


def read(root: Path) -> Dataset:
    """Read one folder or file.

    Raises:
        DatasetError: damaged JSON.
    """
    findings = Findings()
    home = root.parent if root.is_file() else root
    index = ImageIndex(home)
    rows: list[tuple[Path, str, tuple[int, int], list[tuple[str, list[float]]]]] = []
    for path in _files(root):
        try:
            tasks = json.loads(read_text(path))
        except ValueError as error:
            raise DatasetError(f"{path} is damaged: {error}") from error
        for task in tasks if isinstance(tasks, list) else []:
            if isinstance(task, dict):
                rows += _row(task, index, findings)
    classes = sorted({label for *_, boxes in rows for label, _ in boxes})
    samples = [
        Sample.make(path, size, split, [box for _, box in boxes], [classes.index(label) for label, _ in boxes])
        for path, split, size, boxes in rows
    ]
    return Dataset(home, tuple(classes), tuple(samples), findings)


def _row(
    task: dict[str, Any], index: ImageIndex, findings: Findings
) -> list[tuple[Path, str, tuple[int, int], list[tuple[str, list[float]]]]]:
    data = task.get("data")
    data = data if isinstance(data, dict) else {}
    written = str(data.get("image") or data.get("img") or next((v for v in data.values() if isinstance(v, str)), ""))
    annotations = [one for one in task.get("annotations") or [] if isinstance(one, dict)]
    annotations = [one for one in annotations if not one.get("was_cancelled")]
    if not annotations:
        findings.dropped("images", "no annotation by a person", 1, written)
        return []
    findings.noted("images", "with several annotations: the newest is used", int(len(annotations) > 1), written)
    newest = max(annotations, key=lambda one: str(one.get("updated_at") or one.get("created_at") or ""))
    results = [one for one in newest.get("result") or [] if isinstance(one, dict)]
    try:
        path = _find(written, index)
    except ImageNotFound as reason:
        findings.dropped("images", str(reason), 1, written)
        findings.dropped("boxes", str(reason), sum(str(one.get("type")) in _KINDS for one in results), written)
        return []
    size = next(((int(one["original_width"]), int(one["original_height"])) for one in results if _sized(one)), (0, 0))
    boxes = [box for one in results for box in _boxes(one, written, findings)]
    return [(path, split_named(str(data.get("split", ""))) or "train", size, boxes)]


def _sized(result: dict[str, Any]) -> bool:
    return all(isinstance(result.get(f"original_{side}"), int) for side in ("width", "height"))


def _find(written: str, index: ImageIndex) -> Path:
    """The image of a task: a path, a URL, or a file in Label Studio's storage."""
    address = urlparse(written)
    name = parse_qs(address.query).get("d", [unquote(address.path)])[0]
    plain = PurePosixPath(name).name
    for candidate in (name.lstrip("/"), plain, _UPLOADED.sub("", plain)):
        try:
            return index.find(candidate, (index.root / "images",))
        except ImageNotFound as reason:
            problem = reason
    raise problem


def _boxes(result: dict[str, Any], name: str, findings: Findings) -> Iterator[tuple[str, list[float]]]:
    value, kind = result.get("value"), str(result.get("type", ""))
    if kind not in _KINDS or not isinstance(value, dict):
        findings.dropped("shapes", f"'{kind}' is not a box with a label", 1, name)
        return
    labels = value.get(kind) or value.get("rectanglelabels") or []
    labels = [label for one in (labels if isinstance(labels, list) else [labels]) if (label := class_name(one))]
    try:
        x, y, w, h = _percent(value, kind)
        size = (int(result["original_width"]), int(result["original_height"]))
        degrees = float(value.get("rotation") or 0)
    except (KeyError, IndexError, TypeError, ValueError):
        findings.dropped("boxes", "without numbers or the size of the image", 1, name)
        return
    if len(labels) != 1 or not all(map(math.isfinite, (x, y, w, h, degrees))):
        findings.dropped("boxes", "without exactly one label, or not finite", 1, name)
        return
    corners = [x * size[0] / 100, y * size[1] / 100, (x + w) * size[0] / 100, (y + h) * size[1] / 100]
    middle = ((corners[0] + corners[2]) / 2, (corners[1] + corners[3]) / 2)
    if degrees % 180:
        corners = upright(corners, degrees, middle if kind == "ellipselabels" else (corners[0], corners[1]))
    shape = "turned" if "rectangle" in kind else kind.removesuffix("labels")
    findings.repaired("boxes", f"{shape}: the upright box around it", int(shape != "turned" or degrees % 180 > 0), name)
    yield labels[0], corners


def _percent(value: dict[str, Any], kind: str) -> tuple[float, float, float, float]:
    """x, y, width, height in percent of the image, of a box or around another shape."""
    if kind == "polygonlabels":
        x1, y1, x2, y2 = around(*([float(point[axis]) for point in value["points"]] for axis in (0, 1)))
        return x1, y1, x2 - x1, y2 - y1
    keys = ("x", "y", "radiusX", "radiusY") if kind == "ellipselabels" else ("x", "y", "width", "height")
    x, y, w, h = (float(value[key]) for key in keys)
    return (x - w, y - h, 2 * w, 2 * h) if kind == "ellipselabels" else (x, y, w, h)
