"""A split decoded once and kept as bytes, so that no step ever waits for a JPEG.

Images are stretched to a square of ``side`` pixels, which the network's input does anyway; boxes become fractions.
3,626 images of 384 pixels take 1.6 GB; they live on the GPU where they fit, else in main memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from edgecam_training.data.checks import read_image
from edgecam_training.data.dataset import Dataset, Sample
from edgecam_training.errors import DatasetError

_MOST_BROKEN = 0.5  # of all images; more means a wrong folder, not some bad files


@dataclass(frozen=True)
class ImageCache:
    """``images`` (N, side, side, 3) uint8 RGB; ``boxes`` (N, M, 4) float32 corners as fractions; ``labels``
    (N, M) int64, 0 = padding, 1 = first class. ``samples[i]`` is where image i came from; ``broken`` lists files
    that were left out."""

    images: Tensor
    boxes: Tensor
    labels: Tensor
    samples: tuple[Sample, ...]
    broken: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.samples)

    def on(self, device: torch.device) -> ImageCache:
        """The same on a device; images stay in main memory where half the device's free memory is too small."""
        images = self.images
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            images = images.to(device) if images.nbytes < free / 2 else images.pin_memory()
        return ImageCache(images, self.boxes.to(device), self.labels.to(device), self.samples, self.broken)

    @classmethod
    def build(
        cls,
        dataset: Dataset,
        side: int,
        *,
        exact: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> ImageCache:
        """Decode everything with all cores.

        Args:
            exact: resize as the detector does (bilinear), for evaluation; else by area, which keeps more.
            progress: told (done, total) now and then.

        Raises:
            DatasetError: more than half of the images cannot be read.
        """
        total = len(dataset.samples)
        store = torch.empty((total, side, side, 3), dtype=torch.uint8)
        view = store.numpy()

        def decode(index: int) -> bool:
            pixels = read_image(dataset.samples[index].path)
            if pixels is None:
                return False
            shrinks = pixels.shape[0] > side and pixels.shape[1] > side
            how = cv2.INTER_AREA if shrinks and not exact else cv2.INTER_LINEAR
            cv2.cvtColor(cv2.resize(pixels, (side, side), interpolation=how), cv2.COLOR_BGR2RGB, dst=view[index])
            return True

        good = []
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for index, fine in enumerate(pool.map(decode, range(total))):
                if fine:
                    good.append(index)
                if progress and (index % 50 == 49 or index + 1 == total):
                    progress(index + 1, total)
        samples = tuple(dataset.samples[index] for index in good)
        broken = tuple(str(dataset.samples[index].path) for index in sorted(set(range(total)) - set(good)))
        if len(broken) > total * _MOST_BROKEN:
            raise DatasetError(f"{len(broken)} of {total} images cannot be read, first {broken[0]}")
        boxes, labels = pad_boxes(samples)
        return cls(store if not broken else store[good], boxes, labels, samples, broken)


def pad_boxes(samples: Sequence[Sample]) -> tuple[Tensor, Tensor]:
    """Boxes as fractions and columns, padded to the fullest image; difficult boxes are not learned."""
    kept = [sample.keep(~sample.difficult) for sample in samples]
    most = max([len(sample.labels) for sample in kept] + [1])
    boxes = np.zeros((len(kept), most, 4), np.float32)
    labels = np.zeros((len(kept), most), np.int64)
    for index, sample in enumerate(kept):
        count = len(sample.labels)
        boxes[index, :count] = sample.boxes / np.array([sample.width, sample.height] * 2, np.float32)
        labels[index, :count] = sample.labels + 1
    return torch.from_numpy(boxes), torch.from_numpy(labels)
