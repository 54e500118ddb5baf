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

"""Settings of a training run: defaults, ranges and texts, saved with every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

from edgecam_core.settings import Settings, setting

from edgecam_training.data.findings import ALLOWED
from edgecam_training.models.registry import MODELS


@dataclass(frozen=True, kw_only=True)
class TrainSettings(Settings):
    """What to train, on what, how."""

    data: str = setting("", "Data set in any layout that edgecam dataset reads.")
    allow_dropped: float = setting(
        ALLOWED,
        "Largest share of boxes that may be dropped while reading the data set, in percent.",
        low=0.0,
        high=100.0,
    )
    output: str = setting("runs/train", "Folder for checkpoints, labels.txt, logs.")
    model: str = setting("ssd_mobilenet_v2", "Network.", choices=tuple(MODELS))
    init: str = setting(
        "auto",
        "Start: auto (coco for ssd_mobilenet_v2, else random), random, coco, imagenet (torchvision's backbone weights, "
        "downloaded), or the path of a checkpoint.",
    )
    likeness: tuple[str, ...] = setting(
        (), "With coco: initialise a class from a COCO class, as Own=coco, e.g. Cattle=cow. Equal names match."
    )
    freeze: str = setting("none", "Layers to freeze.", choices=("none", "backbone", "all-but-classes"))
    epochs: int = setting(30, "Passes over the training images.", low=1, high=10000)
    batch: int = setting(32, "Images per step and GPU.", low=1, high=4096)
    optimizer: str = setting("sgd", "Optimiser; sgd has momentum 0.9 (Nesterov).", choices=("sgd", "adamw"))
    learning_rate: float = setting(0.01, "Peak learning rate, not scaled with the batch size.", low=1e-7, high=10.0)
    backbone_rate: float = setting(1.0, "Learning-rate factor of all layers except the heads.", low=0.0, high=10.0)
    weight_decay: float = setting(5e-4, "Weight decay of weights, not of biases and norms.", low=0.0, high=1.0)
    warmup: float = setting(1.0, "Epochs of linear warm-up, followed by cosine decay to 1 %.", low=0.0, high=1000.0)
    clip: float = setting(10.0, "Gradient clipping norm; 0: off.", low=0.0, high=1e6)
    ema: float = setting(
        0.999, "Decay of the averaged weights, which are evaluated and exported; 0: off.", low=0.0, high=1.0
    )
    smoothing: float = setting(0.0, "Label smoothing.", low=0.0, high=0.5)
    precision: str = setting(
        "auto", "auto: bf16 or fp16 on a GPU that supports it.", choices=("auto", "fp32", "fp16", "bf16")
    )
    compile: bool = setting(False, "Use torch.compile: about a minute at start, then faster steps.")
    graph: bool = setting(True, "On a GPU: capture the step once as a CUDA graph.")
    fused_norms: bool = setting(
        True, "On a GPU with Triton: run each batch norm and its ReLU as one kernel, in ssd_mobilenet_v1."
    )
    side: int = setting(0, "Side of the decoded images kept in memory; 0: 1.25 times the input.", low=0, high=2048)
    zoom_out: float = setting(2.5, "Augmentation: largest canvas, in image sides; 1: off.", low=1.0, high=8.0)
    crop: float = setting(0.8, "Augmentation: share of images that are cropped.", low=0.0, high=1.0)
    flip: float = setting(0.5, "Augmentation: share of images that are mirrored.", low=0.0, high=1.0)
    mosaic: float = setting(0.0, "Augmentation: share of images that are mosaics of four.", low=0.0, high=1.0)
    color: float = setting(0.5, "Augmentation: probability of each colour change.", low=0.0, high=1.0)
    evaluate_every: int = setting(1, "Epochs between evaluations on the validation split.", low=1, high=10000)
    patience: int = setting(0, "Stop after this many evaluations without a better mAP; 0: never.", low=0, high=10000)
    seed: int = setting(0, "Seed for initial weights, order and augmentation.", low=0, high=2**31 - 1)
    deterministic: bool = setting(False, "Reproducible results on a GPU, but slower; a CPU is always reproducible.")
    device: str = setting("auto", "auto, cpu, cuda or cuda:N.")
