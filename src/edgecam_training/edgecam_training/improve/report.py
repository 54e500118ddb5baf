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

"""The report of one improvement: metrics as JSON; metrics and the worst errors as one HTML file."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from edgecam_core.images.overlay import draw
from edgecam_core.types import Detections

from edgecam_core import cache
from edgecam_training.improve.field import LabelledImage
from edgecam_training.improve.recipe import plain

_WORST = 8
_WIDTH = 420

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 1000px; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; }
td, th { padding: 3px 14px 3px 0; text-align: left; border-bottom: 1px solid #8886; }
td.number { text-align: right; } figure { display: inline-block; margin: 6px; } img { max-width: 100%; display: block; }
.passed { color: #0a7a3f; } .refused { color: #b3261e; } code { overflow-wrap: anywhere; }
"""


def write_json(path: Path, facts: Mapping[str, Any]) -> None:
    """Write the facts as JSON, with null for NaN."""
    cache.write(path, (json.dumps(plain(facts), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def write_html(
    path: Path,
    facts: Mapping[str, Any],
    images: Sequence[LabelledImage],
    old: Sequence[Detections],
    new: Sequence[Detections],
    order: Sequence[int],
) -> None:
    """Write the report. ``order`` lists the indices of the images, most mistakes first."""
    verdict = facts["verdict"]
    state = "passed" if verdict["passed"] else "refused"
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>edgecam improve</title>",
        f"<style>{_STYLE}</style><h1>Improved model: <span class='{state}'>{state}</span></h1>",
        "<ul>" + "".join(f"<li>{html.escape(text)}</li>" for text in verdict["reasons"]) + "</ul>",
        "<h2>Field test</h2>" + _table(facts["field"]["labels"]),
        f"<p>Mean: {html.escape(facts['field']['old'])} before, {html.escape(facts['field']['new'])} after; difference "
        f"{html.escape(facts['field']['difference'])} (AP at IoU 0.5 in percent, 95 % interval by bootstrap over "
        f"{facts['field']['images']} frames not used for training).</p>",
        _alarms(facts["field"]["false_alarms"]),
    ]
    if facts["old_set"]["labels"]:
        parts.append("<h2>Old set</h2>" + _table(facts["old_set"]["labels"]))
    parts.append("<h2>Worst mistakes</h2><p>Left: labelled; middle: the live model; right: the new one.</p>")
    for index in list(order)[:_WORST]:
        parts.append(_row(images[index], old[index], new[index]))
    shown = {key: value for key, value in facts.items() if key not in ("field", "old_set", "verdict")}
    text = html.escape(json.dumps(plain(shown), indent=2, ensure_ascii=False))
    parts.append(f"<h2>Provenance</h2><pre><code>{text}</code></pre></html>")
    cache.write(path, "\n".join(parts).encode())


def _alarms(alarms: Mapping[str, float]) -> str:
    return (
        f"<p>Wrong boxes of the learned labels at score 0.5: {alarms['old']:.2f} per frame before, {alarms['new']:.2f} "
        "after. If this is too high, raise the detector's <code>class_thresholds</code>, or label more frames without "
        "these objects.</p>"
    )


def _table(labels: Mapping[str, Mapping[str, Any]]) -> str:
    """AP in percent with its 95 % interval, by label."""
    head = "<tr><th>label</th><th>boxes</th><th>before</th><th>after</th><th>difference</th></tr>"
    rows = "".join(
        f"<tr><td>{html.escape(label)}</td><td class='number'>{row['boxes']}</td>"
        + "".join(
            f"<td class='number'>{_known(row, key)}</td>" for key in ("old_interval", "new_interval", "difference")
        )
        + "</tr>"
        for label, row in labels.items()
    )
    return f"<table>{head}{rows}</table>"


def _known(row: Mapping[str, Any], key: str) -> str:
    return html.escape(str(row[key])) if np.isfinite(row["old"]) else "no data"


def _row(image: LabelledImage, old: Detections, new: Detections) -> str:
    pixels = image.pixels()
    names = tuple(dict.fromkeys(image.labels))
    numbers = np.array([names.index(label) for label in image.labels], np.int32)
    truth = Detections(image.boxes, np.ones(len(numbers), np.float32), numbers, names or ("",))
    cells = (("labelled", truth), ("before", old), ("after", new))
    figures = [
        f"<figure><img alt='{name}' src='{_embedded(draw(pixels.copy(), found))}'></figure>" for name, found in cells
    ]
    return f"<p>{html.escape(image.path.name)}<br>{''.join(figures)}</p>"


def _embedded(pixels: np.ndarray) -> str:
    height, width = pixels.shape[:2]
    scale = min(1.0, _WIDTH / width)
    small = cv2.resize(pixels, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
