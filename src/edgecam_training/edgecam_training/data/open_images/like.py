"""The rules of jetson-inference's ``open_images_downloader.py``, for the same images and boxes as its command gives.

Release v4, every box of the classes but those of depictions, boxes around groups like any other. A limit counts the
images of all splits together and is shared out by their sizes; which images are taken is left to chance, and the tool
sets no seed.
"""

from __future__ import annotations

import numpy as np

from edgecam_training.data.open_images.selection import Chosen

NAME = "jetson-inference"
RELEASE = "v4"
SPLITS = ("train", "val", "test")


def limited(chosen: dict[str, Chosen], most: int, seed: int) -> dict[str, Chosen]:
    """At most ``most`` images in all, 0 = unlimited.

    As many of each split as the tool takes; which, is decided by ``seed``.
    """
    total = sum(map(len, chosen.values()))
    if not 0 < most < total:
        return chosen
    chance = np.random.RandomState(seed)
    found = {}
    for split, images in chosen.items():
        kept = set(chance.permutation(np.array(list(images), object))[: int(most * (len(images) / total))])
        found[split] = {name: boxes for name, boxes in images.items() if name in kept}
    return found
