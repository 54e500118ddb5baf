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

"""The settings of the detector, for the node and the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgecam_core.inference.backends import BACKENDS, DEVICES
from edgecam_core.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class DetectorSettings(Settings):
    """Model, hardware, thresholds and filters of the detector."""

    model: str = setting(
        "ssd_mobilenet_v2_coco",
        "Path of an ONNX file, name of a model of the zoo, or store:NAME for a model of the model store.",
    )
    labels: str = setting(
        "", "Text file with one label per line, with or without BACKGROUND first; empty: the labels in the model file."
    )
    backend: str = setting(
        "auto", "Inference back end; auto takes the best one that loads.", choices=("auto", *BACKENDS)
    )
    device: str = setting(
        "auto",
        "Device that runs the model; auto: the GPU if a back end runs there, else the CPU. dla0 and dla1 are the "
        "deep learning accelerators of a Jetson; layers they cannot run fall back to the GPU.",
        choices=DEVICES,
    )
    precision: str = setting(
        "auto",
        "Precision of the network; auto: that of the model file (bfloat16 if OpenVINO finds a CPU that supports it), "
        "or int8 if it is measured to be faster and the model file states that it loses little accuracy.",
        choices=("auto", "fp32", "fp16", "int8"),
    )
    calibration: str = setting("", "Folder of images for int8 calibration; needed only to build the int8 model.")
    engine_cache: str = setting(
        "", "Folder for built engines and quantised models; empty: the folder engines in the edgecam cache."
    )
    force_engine_update: bool = setting(False, "Rebuild engines and quantised models.")
    threads: int = setting(0, "Threads of a CPU back end; 0: one per core.", low=0, high=256)
    tune: bool = setting(
        True,
        "If backend or precision is auto and the model runs on the CPU: measure once, in the background, which back "
        "end, precision and number of threads is fastest, and use it from then on.",
    )
    confidence_threshold: float = setting(
        0.5, "Detections with a lower score are dropped.", low=0.0, high=1.0, runtime=True
    )
    nms_threshold: float = setting(
        0.5,
        "If the intersection over union of two boxes of a class is above this, only the better one is kept.",
        low=0.0,
        high=1.0,
        runtime=True,
    )
    agnostic_nms: bool = setting(
        False, "Suppress overlapping boxes of different classes as well: one label per object.", runtime=True
    )
    max_detections: int = setting(
        100, "Maximum number of detections per image; the best are kept.", low=1, high=1000, runtime=True
    )
    classes: tuple[str, ...] = setting(
        (), "Labels (or class numbers as text) to report; empty: all classes of the model.", runtime=True
    )
    class_thresholds: tuple[str, ...] = setting(
        (), "Thresholds of single classes, e.g. 'person=0.7'; they override confidence_threshold.", runtime=True
    )
    regions: tuple[str, ...] = setting(
        (),
        "Regions of interest: polygons like '0,0 0.5,0 0.5,1 0,1' (x,y as fractions of the image); with a camera's "
        "name and a colon in front, for that camera only. A detection counts if its centre is inside. Empty: the whole "
        "image.",
        runtime=True,
    )
    max_batch: int = setting(
        1, "Maximum number of images per inference; a model with a batch size of 1 is rewritten.", low=1, high=64
    )
    track: bool = setting(
        False, "Track objects across images; a tracked object is reported down to half its threshold."
    )
    track_patience: float = setting(
        1.0,
        "How long a track continues without a detection; must be more than the time between two images.",
        low=0.0,
        high=60.0,
        unit="s",
    )

    @property
    def cache_folder(self) -> Path | None:
        """``engine_cache`` as a path; None for the default."""
        return Path(self.engine_cache).expanduser() if self.engine_cache else None
