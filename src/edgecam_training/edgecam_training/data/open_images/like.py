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

"""Selects the same images and boxes as jetson-inference's ``open_images_downloader.py``.

It takes release v4 and all boxes of the classes except depictions; group boxes count as ordinary boxes. A limit applies
to all splits together and is divided in proportion to their sizes. Images are chosen at random; the original tool sets
no seed.
"""

from __future__ import annotations

import numpy as np

from edgecam_training.data.open_images.selection import Chosen

NAME = "jetson-inference"
RELEASE = "v4"
SPLITS = ("train", "val", "test")


def limited(chosen: dict[str, Chosen], most: int, seed: int) -> dict[str, Chosen]:
    """At most ``most`` images in total, 0 = unlimited.

    Each split gets the same number as in the original tool; ``seed`` determines which images are selected.
    """
    total = sum(map(len, chosen.values()))
    if not 0 < most < total:
        return chosen
    rng = np.random.RandomState(seed)
    found = {}
    for split, images in chosen.items():
        kept = set(rng.permutation(np.array(list(images), object))[: int(most * (len(images) / total))])
        found[split] = {name: boxes for name, boxes in images.items() if name in kept}
    return found
