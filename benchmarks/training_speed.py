"""Training speed: images per second, GPU utilisation, and the seconds of a whole job.

The job is 3,626 images and 30 epochs at 300x300, with the training loop of `edgecam train`, including decoding. The
images are composed at 1024x768, the size of Open Images. Without `--materials` the cut-outs are synthetic shapes of
seven classes, so nothing is downloaded.

    python benchmarks/training_speed.py --data data/speed --result speed.json
    torchrun --nproc-per-node 2 benchmarks/training_speed.py --data data/speed --result speed.json
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from edgecam_training.data.compose import CompositionPlan, compose
from edgecam_training.data.dataset import Dataset
from edgecam_training.data.loading import load
from edgecam_training.data.materials import SceneMaterial, gather
from edgecam_training.train.distributed import join
from edgecam_training.train.images import Images, decode, meanwhile
from edgecam_training.train.log import open_log
from edgecam_training.train.settings import TrainSettings
from edgecam_training.train.trainer import Trainer


class GpuUtilisation:
    """Samples the GPU utilisation ten times a second while open; collects nothing without a GPU or pynvml."""

    def __init__(self, index: int, phase: Callable[[], int]) -> None:
        self.values: list[tuple[int, int]] = []
        self._index, self._phase = index, phase
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> GpuUtilisation:
        self._thread.start()
        return self

    def _sample(self) -> None:
        try:
            import pynvml
        except ImportError:
            return
        try:
            pynvml.nvmlInit()
            handle = pynvml.nvmlDeviceGetHandleByIndex(self._index)
            while not self._ends.wait(0.1):
                self.values.append((self._phase(), pynvml.nvmlDeviceGetUtilizationRates(handle).gpu))
        except pynvml.NVMLError:
            return

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def mean(self, first: int) -> float | None:
        """The mean utilisation from phase ``first`` on, 0 to 1; None without samples."""
        chosen = [value for phase, value in self.values if phase >= first]
        return round(sum(chosen) / len(chosen) / 100, 3) if chosen else None


def synthetic_material() -> SceneMaterial:
    """Seven classes of polygons, and blurred coloured backgrounds: as costly as photographs, without a download."""
    chance = np.random.default_rng(0)

    def cutout(corners: int, hole: bool) -> np.ndarray:
        side = int(chance.integers(180, 260))
        angles = np.arange(corners) * 2 * np.pi / corners + chance.uniform(0, 0.4)
        points = side / 2 + (side / 2 - 4) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        pixels = np.zeros((side, side, 4), np.uint8)
        pixels[..., :3] = cv2.GaussianBlur(chance.integers(0, 256, (side, side, 3), np.uint8), (0, 0), 3)
        alpha = np.zeros((side, side), np.uint8)
        cv2.fillPoly(alpha, [points.astype(np.int32)], 255)
        if hole:
            cv2.circle(alpha, (side // 2, side // 2), side // 5, 0, -1)
        pixels[..., 3] = alpha
        return pixels

    def background() -> np.ndarray:
        small = chance.integers(0, 256, (24, 32, 3), np.uint8)
        smooth = cv2.resize(small, (1280, 960), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        return np.clip(smooth + chance.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)

    cutouts = {f"shape {n}": [cutout(3 + n % 4, n > 3) for _ in range(3)] for n in range(7)}
    backgrounds = [background() for _ in range(40)]
    return SceneMaterial(cutouts, {}, [cutout(12, True)], backgrounds[:30], backgrounds[30:], [])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--materials", type=Path, help="folder of unpacked packages (default: synthetic shapes)")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--result", type=Path, required=True)
    parser.add_argument("--images", type=int, default=3626)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--model", default="ssd_mobilenet_v1")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--no-graph", action="store_true")
    parser.add_argument("--no-fused-norms", action="store_true")
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    if int(os.environ.get("RANK", "0")) == 0 and not (options.data / "manifest.jsonl").is_file():
        material = gather(options.materials) if options.materials else synthetic_material()
        compose(material, options.data, CompositionPlan(options.images, 171, 0, 1024, 768))
    world = join("auto")
    if world.size > 1:
        torch.distributed.barrier()
    settings = TrainSettings(
        data=str(options.data), output=str(options.result.with_suffix("")), model=options.model, init="random",
        epochs=options.epochs, batch=options.batch, learning_rate=0.02, compile=options.compile, evaluate_every=10,
        graph=not options.no_graph, precision=options.precision, fused_norms=not options.no_fused_norms,
    )  # fmt: skip
    begin = time.perf_counter()
    with open_log(Path(settings.output), world.leads) as log:

        def read() -> tuple[Dataset, Images]:
            dataset = load(settings.data)
            return dataset, decode(dataset, settings, world.leads, log)

        dataset, images = meanwhile(read, settings, world.device)
        trainer = Trainer(settings, dataset, world, log, images=images)
        ready = time.perf_counter()
        with GpuUtilisation(world.device.index or 0, lambda: trainer.progress.epoch) as busy:
            trainer.run()
    end = time.perf_counter()
    if world.leads:
        speeds = sorted(entry["images_per_second"] for entry in trainer.progress.history[1:]) or [0.0]
        report: dict[str, Any] = {
            "device": torch.cuda.get_device_name() if world.device.type == "cuda" else "CPU",
            "gpus": world.size, "torch": torch.__version__, "images": len(trainer.batches.data),
            "settings": settings.as_dict(), "seconds_start": ready - begin, "seconds_training": end - ready,
            "seconds_total": end - begin, "images_per_second_median": speeds[len(speeds) // 2],
            "gpu_busy_share": busy.mean(0), "gpu_busy_share_after_first_epoch": busy.mean(1),
            "history": trainer.progress.history,
        }  # fmt: skip
        options.result.write_text(json.dumps(report, indent=2) + "\n")
        print({key: value for key, value in report.items() if key not in ("history", "settings")})
    world.close()


if __name__ == "__main__":
    main()
