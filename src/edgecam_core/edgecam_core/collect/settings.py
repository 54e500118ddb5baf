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

"""The settings of the collector."""

from __future__ import annotations

from dataclasses import dataclass

from edgecam_core.collect.rules import RULES
from edgecam_core.errors import SettingError
from edgecam_core.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class CollectorSettings(Settings):
    """Which frames are kept, how they are stored, and how much disk space they may use."""

    directory: str = setting("~/edgecam-collection", "Folder of the collected data set.")
    rules: tuple[str, ...] = setting(
        ("uncertain", "flicker", "novel"),
        "Rules that keep a frame: uncertain, flicker, novel, disagree, class, interval. The service ~/keep always "
        "works.",
        runtime=True,
    )
    uncertain_low: float = setting(
        0.3, "uncertain: lowest score of the band; the detector must report it.", low=0.0, high=1.0, runtime=True
    )
    uncertain_high: float = setting(0.6, "uncertain: highest score of the band.", low=0.0, high=1.0, runtime=True)
    flicker_seconds: float = setting(
        1.0, "flicker: longest gap after which a track counts as found again.", low=0.0, high=60.0, unit="s"
    )
    novel_distance: int = setting(
        14, "novel: bits of the 64-bit perceptual hash that must differ from every kept frame.", low=1, high=64
    )
    keep_classes: tuple[str, ...] = setting((), "class: labels that keep a frame.", runtime=True)
    interval: float = setting(
        600.0, "interval: seconds between two frames kept by this rule.", low=1.0, high=86400.0, unit="s"
    )
    look_rate: float = setting(
        2.0, "Frames per second and camera that are hashed (novel, duplicates).", low=0.1, high=60.0, unit="Hz"
    )
    duplicate_distance: int = setting(
        4, "A frame is a duplicate if its hash differs in at most this many bits from a kept one; -1: never.",
        low=-1, high=63,
    )  # fmt: skip
    max_per_hour: int = setting(120, "Maximum number of frames kept per hour.", low=1, high=100_000, runtime=True)
    max_per_rule: int = setting(
        60, "Maximum number of frames kept per hour by one rule.", low=1, high=100_000, runtime=True
    )
    max_megabytes: float = setting(
        2000.0,
        "Maximum size of the folder's images; above it, the least valuable frames are deleted.",
        low=1.0,
        high=1e7,
        unit="MB",
    )
    min_free_megabytes: float = setting(
        1000.0, "Nothing is kept while the disk has less free space.", low=0.0, high=1e7, unit="MB"
    )
    image_format: str = setting(
        "jpeg",
        "Format of stored images: jpeg, png (lossless), or source (the bytes of image_raw/compressed, unchanged).",
        choices=("jpeg", "png", "source"),
    )
    jpeg_quality: int = setting(95, "Quality of stored JPEG.", low=1, high=100)
    retention_days: float = setting(
        0.0,
        "Unreviewed frames are deleted after this many days if the clock is set; 0: never.",
        low=0.0,
        high=3650.0,
        unit="d",
    )
    blur: tuple[str, ...] = setting(
        (), "Blurred before an image is stored: 'faces', and labels of the detector. Empty: nothing."
    )

    def check(self) -> None:
        for name in self.rules:
            if name not in RULES:
                raise SettingError("rules", name, f"must be one of {', '.join(RULES)}")
        if self.uncertain_low > self.uncertain_high:
            remedy = f"must not be above uncertain_high ({self.uncertain_high:g})"
            raise SettingError("uncertain_low", self.uncertain_low, remedy)
        if "class" in self.rules and not self.keep_classes:
            raise SettingError("keep_classes", "[]", "must name a label for the rule 'class'")
        if self.blur and self.image_format == "source":
            raise SettingError("blur", self.blur, "needs image_format jpeg or png: source bytes are stored unchanged")
