"""The table of data set layouts, and how one is recognised."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from edgecam_training.data.checks import tidy
from edgecam_training.data.dataset import Dataset
from edgecam_training.errors import DatasetError

# Name -> module with fits(root) and read(root), in the order they are tried.
LAYOUTS = {
    "edgecam": "edgecam_training.data.manifest",
    "coco": "edgecam_training.data.coco",
    "voc": "edgecam_training.data.voc",
    "yolo": "edgecam_training.data.yolo",
}


def load(root: str | Path, layout: str = "auto") -> Dataset:
    """Read a data set of any layout and repair its boxes (see ``notes``). Pictures are not decoded (but for YOLO).

    Raises:
        DatasetError: nothing there, no layout fits, or the one that fits is damaged.
    """
    root = Path(root).expanduser()
    if not root.exists():
        raise DatasetError(f"data set '{root}': there is no such folder or file")
    for name, module in LAYOUTS.items():
        if layout == name or (layout == "auto" and import_module(module).fits(root)):
            dataset: Dataset = import_module(module).read(root)
            if not dataset.samples:
                raise DatasetError(f"data set '{root}' ({name}) lists no picture")
            return tidy(dataset)
    raise DatasetError(
        f"data set '{root}' has no known layout; known are a manifest.jsonl, a COCO annotations/ folder, "
        "a Pascal VOC Annotations/ folder, and a YOLO data.yaml"
    )
