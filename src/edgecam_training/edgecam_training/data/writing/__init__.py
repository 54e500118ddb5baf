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

"""Writes data sets in the layouts of other tools; counts what a layout cannot represent."""

from __future__ import annotations

import shutil
from collections import Counter
from importlib import import_module
from pathlib import Path

from edgecam_core import cache
from edgecam_training.data.dataset import Dataset, Sample
from edgecam_training.data.findings import Findings
from edgecam_training.data.image_files import Header, read_header
from edgecam_training.errors import DatasetError

# Name: module with write(samples, classes, output, findings).
FORMATS = {
    "coco": "edgecam_training.data.writing.coco",
    "voc": "edgecam_training.data.writing.voc",
    "yolo": "edgecam_training.data.writing.yolo",
    "cvat": "edgecam_training.data.writing.cvat",
    "label-studio": "edgecam_training.data.writing.label_studio",
}
Named = list[tuple[str, Sample]]


def write(dataset: Dataset, layout: str, output: Path) -> Findings:
    """Write the data set and copies of its images; returns findings about what the layout cannot represent.

    Raises:
        DatasetError: unknown layout, or the folder is not empty.
        CacheError: the folder cannot be written.
    """
    if layout not in FORMATS:
        raise DatasetError(f"format '{layout}' must be one of {', '.join(FORMATS)}")
    if output.exists() and any(output.iterdir()):
        raise DatasetError(f"{output} is not empty; use an empty or new folder")
    findings = Findings()
    with cache.explained(output):
        import_module(FORMATS[layout]).write(_named(dataset), dataset.classes, output, findings)
    return findings


def _named(dataset: Dataset) -> Named:
    """Each sample with a unique name: its file name, preceded by its folders if several files share the name."""
    stems = Counter(sample.path.stem for sample in dataset.samples)
    named = []
    for sample in dataset.samples:
        relative = sample.path.relative_to(dataset.root) if sample.path.is_relative_to(dataset.root) else sample.path
        unique = stems[sample.path.stem] == 1
        named.append((sample.path.stem if unique else "-".join(relative.with_suffix("").parts[-3:]), sample))
    if len({name for name, _ in named}) < len(named):
        raise DatasetError(f"{dataset.root}: several images have the same name and folders; rename them")
    return named


def copy_image(name: str, sample: Sample, folder: Path, findings: Findings) -> str:
    """Copy the image's bytes; returns the new file name. Boxes are those of the upright image."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}{sample.path.suffix}"
    shutil.copyfile(sample.path, target)
    header = read_header(sample.path)
    if isinstance(header, Header) and header.orientation != 1:
        reason = "with an EXIF orientation: tools that ignore it draw the boxes in the wrong place"
        findings.noted("images", reason, 1, sample.path)
    return target.name


def without_flags(sample: Sample, findings: Findings, tool: str) -> Sample:
    """The sample without the regions (difficult, crowd) that ``tool`` cannot represent; counts these as dropped."""
    findings.dropped(
        "boxes", f"difficult or crowd, which {tool} cannot represent", int(sample.difficult.sum()), sample.path
    )
    return sample.keep(~sample.difficult)
