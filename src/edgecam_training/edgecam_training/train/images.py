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

"""Decodes the images of a run, while the GPU's libraries load."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import torch

from edgecam_training.data.dataset import Dataset
from edgecam_training.data.image_cache import ImageCache, most_boxes
from edgecam_training.data.summary import UNDECODABLE, accept, without
from edgecam_training.models.registry import create, input_side
from edgecam_training.train.log import RunLog
from edgecam_training.train.settings import TrainSettings
from edgecam_training.train.step import Step

Result = TypeVar("Result")


@dataclass(frozen=True)
class Images:
    """The decoded splits. ``val`` is None without validation: no boxes in that split, or not the leading process."""

    train: ImageCache
    val: ImageCache | None

    def on(self, device: torch.device) -> Images:
        return Images(self.train.on(device), self.val.on(device) if self.val else None)


def has_boxes(dataset: Dataset, split: str) -> bool:
    """Whether a split exists and has boxes that count."""
    return split in dataset.counts() and bool(dataset.split(split).boxes_per_class().any())


def kept_side(settings: TrainSettings) -> int:
    """Side of the decoded images in memory."""
    return settings.side or round(input_side(settings.model) * 1.25)


def decode(dataset: Dataset, settings: TrainSettings, leads: bool, log: RunLog) -> Images:
    """Decode the images of a run into main memory; blocks for seconds to minutes.

    Raises:
        DatasetError: too many images cannot be decoded.
    """
    scored = has_boxes(dataset, "val")
    if "val" in dataset.counts() and not scored:
        log("note      no box in 'val': no evaluation during training, best.pt is the latest checkpoint")
    train = dataset.split("train")
    found = ImageCache.build(train, kept_side(settings), most=most_boxes(train.samples))
    own = scored and leads
    val = ImageCache.build(dataset.split("val"), input_side(settings.model), exact=True) if own else None
    broken = [sample for cache in (found, val) if cache for sample in cache.broken]
    if broken:
        log(f"dropped   {len(broken)} images   {UNDECODABLE}, first {broken[0].path}")
        accept(without(dataset, broken), settings.allow_dropped)
    return Images(found, val)


def meanwhile(work: Callable[[], Result], settings: TrainSettings, device: torch.device) -> Result:
    """Run ``work`` in another thread while this one loads the GPU's libraries; returns its result.

    Call it in the thread that trains: cuDNN plans convolutions for each thread. Raises as ``work``.
    """
    if device.type != "cuda" or not settings.graph or settings.compile:
        return work()
    with ThreadPoolExecutor(1, "loader") as pool:
        working = pool.submit(work)
        model = create(settings.model, ["object"]).to(device, memory_format=torch.channels_last).train()
        Step(model, settings, device).load_libraries(settings.batch, kept_side(settings))
        del model
        torch.cuda.empty_cache()
        return working.result()
