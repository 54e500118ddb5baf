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

"""Reads a data set of any layout."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from edgecam_training.data.checks import tidy
from edgecam_training.data.dataset import Dataset
from edgecam_training.data.findings import Findings
from edgecam_training.errors import DatasetError

# Name: module with fits(root) and read(root), in the order in which they are tried.
LAYOUTS = {
    "edgecam": "edgecam_training.data.manifest",
    "open-images": "edgecam_training.data.open_images.folder",
    "label-studio": "edgecam_training.data.label_studio",
    "coco": "edgecam_training.data.coco",
    "cvat": "edgecam_training.data.cvat",
    "voc": "edgecam_training.data.voc",
    "yolo": "edgecam_training.data.yolo",
}
_KNOWN = (
    "a manifest.jsonl, COCO JSON files, Pascal VOC XML files, a YOLO data.yaml or obj.data, CVAT's annotations.xml, "
    "Label Studio's JSON export, and the folder written by jetson-inference's Open Images downloader"
)


def load(root: str | Path, layout: str = "auto") -> Dataset:
    """Read a data set of any layout, compare it with its images' headers and repair its boxes (see ``findings``).

    No image is decoded.

    Raises:
        DatasetError: no such path, unknown layout, damaged data, or no usable image.
    """
    root = Path(root).expanduser()
    if not root.exists():
        raise DatasetError(f"data set '{root}': there is no such folder or file")
    for name, module in LAYOUTS.items():
        if layout == name or (layout == "auto" and import_module(module).fits(root)):
            dataset: Dataset = import_module(module).read(root)
            if not dataset.samples:
                raise DatasetError(_no_images(root, name, dataset.findings))
            tidied = tidy(dataset, name)
            if not tidied.samples:
                raise DatasetError(_no_images(root, name, tidied.findings))
            return tidied
    raise DatasetError(f"data set '{root}' has no known layout; known are {_KNOWN}{_nested(root)}")


def _no_images(root: Path, layout: str, findings: Findings) -> str:
    reasons = "; ".join(line.strip() for line in findings.lines()) or "it lists none"
    return f"data set '{root}' ({layout}) has no usable image: {reasons}"


def _nested(root: Path) -> str:
    """A hint if a subfolder has a known layout, as when an archive was unpacked into its own folder."""
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    matching = [str(path) for path in folders if any(import_module(module).fits(path) for module in LAYOUTS.values())]
    return f". Did you mean {' or '.join(matching[:3])}?" if matching else ""
