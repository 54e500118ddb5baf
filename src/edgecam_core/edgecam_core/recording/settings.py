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

"""The settings of the recorder."""

from __future__ import annotations

from dataclasses import dataclass

from edgecam_core.errors import SettingError
from edgecam_core.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class RecorderSettings(Settings):
    """How messages are stored, and how much disk space they may use."""

    directory: str = setting("~/edgecam-recordings", "Folder of the recordings, one folder each.")
    rolling: bool = setting(
        False, "Keep only the newest rolling_seconds; the service ~/snapshot preserves the current recording."
    )
    rolling_seconds: float = setting(300.0, "rolling: minimum length of the recording.", low=1.0, high=1e7, unit="s")
    split_seconds: float = setting(
        0.0, "Start a new file after this time; 0: never (rolling: a tenth of rolling_seconds).",
        low=0.0, high=1e6, unit="s",
    )  # fmt: skip
    split_megabytes: float = setting(1000.0, "Start a new file at this size; 0: never.", low=0.0, high=1e6, unit="MB")
    max_megabytes: float = setting(
        10_000.0,
        "Maximum size of a recording; 0: no limit. Above it, the recording ends; rolling: the oldest file is deleted.",
        low=0.0, high=1e8, unit="MB", runtime=True,
    )  # fmt: skip
    min_free_megabytes: float = setting(
        1000.0, "The recording ends when the disk has less free space.", low=0.0, high=1e8, unit="MB", runtime=True
    )
    compression: str = setting(
        "zstd",
        "Compression of the chunks; for raw images, lz4 needs a third of the CPU time of zstd.",
        choices=("zstd", "lz4", "none"),
    )
    flush_seconds: float = setting(
        1.0, "Interval between writes to disk; a crash loses at most this much.", low=0.1, high=60.0, unit="s"
    )
    queue_megabytes: float = setting(
        200.0, "Size of the queue for a slow disk; messages above it are dropped and counted.",
        low=1.0, high=1e5, unit="MB",
    )  # fmt: skip

    def check(self) -> None:
        if not self.directory:
            raise SettingError("directory", "", "must be the path of a folder")
        if self.rolling and self.split_seconds > self.rolling_seconds:
            raise SettingError(
                "split_seconds", self.split_seconds, f"must not be above rolling_seconds ({self.rolling_seconds:g})"
            )

    @property
    def file_seconds(self) -> float:
        """Length of one file; 0: no limit."""
        return self.split_seconds or (self.rolling_seconds / 10 if self.rolling else 0.0)
