"""A folder of JPEGs to boxes: images per second and mAP of every back end and precision, against plain PyTorch.

The images are composed of animal cut-outs on photographs, so every box is known exactly. They were not used for
training. The model file has the ranges for INT8.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.row import Row
from benchmarks.runs import shared
from benchmarks.support import ROOT, peer

_TRAINING = ROOT / ".venv-training" / "bin" / "python"
# A Python with PyTorch: that of `make setup-training`, or this one.
TORCH_PYTHON = _TRAINING if _TRAINING.exists() else sys.executable if importlib.util.find_spec("torch") else None
BACKENDS = ROOT / ".venv" / "backends"  # back ends that only tests need
IMAGES = 200
SIZE = (1024, 768)
SEED = 505
# Cut-outs of the composed data set, and the default model's label for each.
ANIMALS = {"Zebra": "zebra", "Cattle": "cow", "Sheep": "sheep", "Chicken": "bird"}


class BackendRun(NamedTuple):
    """A back end on a device; PyTorch, the reference, runs on the same device. ``name`` is part of the row names."""

    name: str
    backend: str
    device: str
    precisions: tuple[str, ...]
    label: str


RUNS = (
    BackendRun("onnxruntime", "onnxruntime", "cpu", ("fp32", "fp16", "int8"), "ONNX Runtime"),
    BackendRun("openvino", "openvino", "cpu", ("fp32", "auto", "int8"), "OpenVINO"),
    BackendRun("cuda", "onnxruntime", "cuda", ("fp32", "fp16", "int8"), "ONNX Runtime with CUDA"),
    BackendRun("tensorrt", "tensorrt", "cuda", ("fp32", "fp16", "int8"), "TensorRT"),
)
BEST = ("openvino", "int8")


def rows() -> list[Row]:
    found = []
    for run in RUNS if TORCH_PYTHON else ():
        for precision in run.precisions if _is_available(run) else ():
            ours = ("detect_folder", run.backend, run.device, precision)
            reference = ("torch_folder", run.device)
            found += [
                Row(
                    f"folder_rate_{run.name}_{precision}",
                    f"{IMAGES} JPEGs (1024x768) to boxes, {run.label} {precision}",
                    "images/s", "PyTorch eager: read, infer, suppress in turn",
                    partial(rate, *ours), partial(rate, *reference), better="higher",
                    aim=5.0 if (run.name, precision) == BEST else None,
                    label=f"Folder of images to boxes, {run.label} {precision.upper()}",
                ),
                Row(
                    f"folder_map_{run.name}_{precision}", f"COCO mAP on the same JPEGs, {run.label} {precision}",
                    "%", "PyTorch eager minus one point",
                    partial(accuracy, *ours), partial(least_accuracy, *reference), better="higher", aim=1.0,
                    label=f"Accuracy (COCO mAP), {run.label} {precision.upper()}",
                ),
            ]  # fmt: skip
    return found


def _is_available(run: BackendRun) -> bool:
    from edgecam_core.errors import MissingDependency
    from edgecam_core.inference.cuda_driver import find_gpu
    from edgecam_core.inference.tensorrt_api import import_tensorrt

    if run.device == "cuda" and find_gpu() is None:
        return False
    if run.backend == "tensorrt":
        try:
            return bool(import_tensorrt())
        except MissingDependency:
            return False
    if importlib.util.find_spec(run.backend) is None:
        return (BACKENDS / run.backend).is_dir()
    if run.device == "cuda":
        import onnxruntime

        return "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    return True


@functools.lru_cache(maxsize=1)
def material() -> Path:
    """The folder of JPEGs; manifest.jsonl in the parent folder has the boxes. Composed once, then kept."""
    folder = ROOT / ".cache" / "bench" / f"folder-{SEED}"
    if (folder / "manifest.jsonl").exists():
        return folder / "val"
    _import_training()
    from edgecam_training.data.compose import CompositionPlan, compose
    from edgecam_training.data.materials import SceneMaterial, gather

    gathered = gather()
    cutouts = {label: gathered.cutouts[name] + gathered.held_out[name] for name, label in ANIMALS.items()}
    # No cut-outs of other animals: a duck would be detected as a bird, without a known box.
    chosen = SceneMaterial(cutouts, {}, [], gathered.backgrounds, gathered.new_backgrounds, [])
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as part:
        compose(chosen, Path(part) / "set", CompositionPlan(1, IMAGES, 0, *SIZE, seed=SEED))
        (Path(part) / "set").rename(folder)
    return folder / "val"


def _import_training() -> None:
    """Make edgecam_training importable, which the workspace does not install. The modules used here need no PyTorch."""
    path = str(ROOT / "src" / "edgecam_training")
    if path not in sys.path:
        sys.path.append(path)


@shared
def rate(program: str, *how: str) -> float:
    return float(_run(program, *how).split()[-1])


def least_accuracy(program: str, *how: str) -> float:
    """The lowest acceptable accuracy of a precision: that of the reference minus one point."""
    return accuracy(program, *how) - 1


@functools.cache
def accuracy(program: str, *how: str) -> float:
    """COCO mAP (0.50:0.95) in percent over the animals. Measured once, because it is the same in every round."""
    _import_training()
    from edgecam_training.data import manifest
    from edgecam_training.evaluate.metrics import Found, GroundTruth, score

    seen = json.loads(_run(program, *how, "--all"))
    dataset = manifest.read(material().parent).split("val")
    found, truth = [], []
    for sample in dataset.samples:
        mine = [item for item in seen[sample.path.name] if item[0] in dataset.classes]
        boxes = np.array([item[2:] for item in mine], np.float32).reshape(-1, 4)
        classes = np.array([dataset.classes.index(item[0]) for item in mine], np.int64)
        found.append(Found(boxes, np.array([item[1] for item in mine]), classes))
        truth.append(GroundTruth(sample.boxes, sample.labels, sample.difficult))
    return 100 * score(found, truth, len(dataset.classes)).map


def _run(program: str, *how: str) -> str:
    images = material()
    env = dict(os.environ)
    if program == "torch_folder":
        packages: list[str | Path] = [ROOT, *(ROOT / "src" / name for name in ("edgecam_core", "edgecam_training"))]
        command = [str(TORCH_PYTHON), *peer(program)[1:], str(images), *how]
    else:
        packages = [ROOT, BACKENDS, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        command = peer(program, images, *how)
    env["PYTHONPATH"] = os.pathsep.join(map(str, packages))
    done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True, timeout=900, cwd=ROOT)
    return done.stdout
