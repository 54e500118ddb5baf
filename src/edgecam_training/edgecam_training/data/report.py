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

"""Data set statistics as an image, and as one HTML file with embedded sample images."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path

import cv2
import numpy as np

from edgecam_training.data.checks import read_image
from edgecam_training.data.dataset import Dataset, Sample
from edgecam_training.data.stats import Stats, text

_SAMPLES = 12


def chart(stats: Stats) -> bytes:
    """A PNG with the boxes per class and split, the box sizes and the aspect ratios."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3)
    bottom = np.zeros(len(stats.classes))
    for split in stats.splits:
        left.barh(list(stats.classes), split.boxes, left=bottom, label=split.name)
        bottom += split.boxes
    left.set_title("Boxes per class")
    left.legend()
    middle.hist(stats.sizes, bins=20, range=(0, 1))
    middle.set_title("Box size (root of the area, share)")
    right.hist(np.log2(np.clip(stats.aspects, 1 / 8, 8)), bins=20)
    right.set_title("Box aspect (log2 of width / height)")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()


def write_html(dataset: Dataset, stats: Stats, path: Path) -> None:
    """Write one self-contained HTML file."""
    images = []
    step = max(1, len(dataset.samples) // _SAMPLES)
    for sample in dataset.samples[::step][:_SAMPLES]:
        data = _thumbnail(sample, dataset.classes)
        if data:
            title = html.escape(f"{sample.split} {sample.path.name}")
            images.append(f'<figure><img src="{_data_url(data, "jpeg")}"><figcaption>{title}</figcaption></figure>')
    path.write_text(
        f"<!doctype html><meta charset=utf-8><title>{html.escape(dataset.root.name)}</title>"
        "<style>body{font:14px sans-serif;margin:2em}figure{display:inline-block;margin:4px}</style>"
        f"<h1>{html.escape(str(dataset.root))}</h1><img src='{_data_url(chart(stats), 'png')}'>"
        f"<pre>{html.escape(text(stats))}</pre>{''.join(images)}\n",
        encoding="utf-8",
    )


def _thumbnail(sample: Sample, classes: tuple[str, ...]) -> bytes | None:
    pixels = read_image(sample.path)
    if pixels is None:
        return None
    for box, label in zip(sample.boxes.astype(int).tolist(), sample.labels, strict=True):
        cv2.rectangle(pixels, box[:2], box[2:], (0, 0, 255), 2)
        cv2.putText(pixels, classes[label], (box[0] + 3, box[1] + 18), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 255), 2)
    factor = 280 / pixels.shape[1]
    small = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    encoded, data = cv2.imencode(".jpg", small)
    return data.tobytes() if encoded else None


def _data_url(data: bytes, subtype: str) -> str:
    return f"data:image/{subtype};base64,{base64.b64encode(data).decode()}"
