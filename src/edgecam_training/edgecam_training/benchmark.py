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

"""Compares models: size, accuracy, images per second from file to boxes, latency, memory, energy.

Every model runs in its own process, so that peak memory and library warm-up are measured per model.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from edgecam_training import power
from edgecam_training.data.findings import ALLOWED
from edgecam_training.errors import TrainingError


@dataclass(frozen=True)
class ModelResult:
    """One line of the table. Times are in milliseconds; ``images_per_second`` includes reading and decoding the files.
    ``map50`` and ``map`` are 0..1, None without boxes. ``joules_per_image`` is measured by ``energy_source``, None
    without one."""

    model: str
    runtime: str
    megabytes: float
    map50: float | None
    map: float | None
    images_per_second: float
    latency_p50: float
    latency_p99: float
    peak_memory_mb: float
    joules_per_image: float | None = None
    energy_source: str = ""


def measure(
    model: str, backend: str, data: str, split: str, rename: dict[str, str], allow_dropped: float = ALLOWED
) -> ModelResult:
    """Measure one model in this process; blocks for the whole split, after five images of warm-up.

    ``allow_dropped``: percent of the boxes that may be dropped from the data set.
    """
    import resource
    import time

    import numpy as np

    from edgecam_training.data.checks import read_image
    from edgecam_training.data.summary import load_accepted
    from edgecam_training.evaluate.evaluation import as_dict, evaluate
    from edgecam_training.evaluate.models import open_detector

    dataset = load_accepted(data, allow_dropped, tell=lambda line: print(line, file=sys.stderr)).split(split)
    detector = open_detector(model, backend)
    for sample in dataset.samples[:5]:
        pixels = read_image(sample.path)
        if pixels is not None:
            detector.detect(pixels)
    source = power.find()
    begin = time.perf_counter()
    with power.EnergyMeter(source) as meter:
        result = evaluate(detector, dataset, rename)
    seconds = time.perf_counter() - begin - result.seconds_scoring
    joules = None if meter.joules is None else round(meter.joules / len(result.samples), 3)
    report = as_dict(result)
    size = detector.model.path.stat().st_size / 1e6
    p50, p99 = np.percentile(result.seconds * 1000, [50, 99])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    map50, whole = (value if isinstance(value := report[key], float) else None for key in ("map50", "map"))
    return ModelResult(
        model, detector.runner.description, round(size, 2), map50, whole, round(len(result.samples) / seconds, 2),
        round(float(p50), 2), round(float(p99), 2), round(peak, 1), joules, source.name if source else "",
    )  # fmt: skip


def measure_apart(
    model: str, backend: str, data: str, split: str, rename: dict[str, str], allow_dropped: float = ALLOWED
) -> ModelResult:
    """As :func:`measure`, in a separate process.

    Raises:
        TrainingError: that process failed; the message ends with the last line of its output.
    """
    words = [json.dumps(item) for item in (model, backend, data, split, rename, allow_dropped)]
    code = (
        "import json, sys; from dataclasses import asdict; from edgecam_training.benchmark import measure; "
        "print(json.dumps(asdict(measure(*map(json.loads, sys.argv[1:])))))"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    if done.returncode:
        raise TrainingError(f"{model} with {backend}: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    return ModelResult(**json.loads(done.stdout.strip().splitlines()[-1]))


def markdown(rows: Sequence[ModelResult]) -> str:
    lines = [
        "| model | runtime | MB | AP@0.5 | COCO AP | images/s | p50 ms | p99 ms | peak MB | J/image |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        accuracy = ["no data" if value is None else f"{value:.3f}" for value in (row.map50, row.map)]
        energy = "–" if row.joules_per_image is None else row.joules_per_image
        numbers = (row.images_per_second, row.latency_p50, row.latency_p99, row.peak_memory_mb, energy)
        name = Path(row.model).name
        lines.append(
            f"| {name} | {row.runtime} | {row.megabytes} | {' | '.join(accuracy)} | "
            + " | ".join(map(str, numbers))
            + " |"
        )
    return "\n".join(lines)


def chart(rows: Sequence[ModelResult], path: Path) -> None:
    """Write accuracy over speed as PNG, one dot per model."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="images per second, from file to boxes", ylabel="AP@0.5")
    for row in rows:
        axes.scatter(row.images_per_second, row.map50 or 0.0, label=Path(row.model).name)
    axes.legend(loc="lower left")
    axes.set_ylim(0, 1.02)
    axes.set_xlim(left=0)
    figure.savefig(path, dpi=100)


def write(rows: Sequence[ModelResult], folder: Path) -> None:
    """Write ``benchmark.md``, ``benchmark.json`` and ``benchmark.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmark.md").write_text(markdown(rows) + "\n")
    (folder / "benchmark.json").write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    chart(rows, folder / "benchmark.png")
