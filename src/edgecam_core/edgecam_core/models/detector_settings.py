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

"""The settings of the detector, for the node and the command line alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgecam_core.inference.backends import BACKENDS, DEVICES
from edgecam_core.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class DetectorSettings(Settings):
    """Model, hardware, thresholds and filters of the detector."""

    model: str = setting("ssd_mobilenet_v2_coco", "Path of an ONNX file, or the name of a model of the zoo.")
    labels: str = setting(
        "", "Text file with one label a line, with or without BACKGROUND first; empty: the labels in the model file."
    )
    backend: str = setting(
        "auto", "What runs the model; auto takes the best one that loads.", choices=("auto", *BACKENDS)
    )
    device: str = setting(
        "auto",
        "What the model runs on; auto: the GPU where a back end runs there, else the processor. dla0 and dla1 are the "
        "deep learning accelerators of a Jetson, with the GPU for layers they cannot run.",
        choices=DEVICES,
    )
    precision: str = setting(
        "auto",
        "Precision of the network; auto: as the model file is (in bfloat16 where OpenVINO finds the processor has it), "
        "or int8 where that is measured to be faster and the model file says that it loses little.",
        choices=("auto", "fp32", "fp16", "int8"),
    )
    calibration: str = setting("", "Folder of images that int8 is calibrated with; needed once.")
    engine_cache: str = setting(
        "", "Folder for built engines and quantised models; empty: engines in the user's edgecam cache."
    )
    force_engine_update: bool = setting(False, "Rebuild engines and quantised models.")
    threads: int = setting(0, "Threads of a CPU back end; 0: one per core.", low=0, high=256)
    tune: bool = setting(
        True,
        "Where backend or precision is auto and the model runs on the processor: measure once, in the background, "
        "which back end, precision and number of threads is fastest, and keep to it.",
    )
    confidence_threshold: float = setting(
        0.5, "Detections with a lower score are dropped.", low=0.0, high=1.0, runtime=True
    )
    nms_threshold: float = setting(
        0.5,
        "Of two boxes of a class whose intersection over union is above this, the better one stays.",
        low=0.0,
        high=1.0,
        runtime=True,
    )
    agnostic_nms: bool = setting(
        False, "Suppress overlapping boxes of different classes too, so that an object has one label.", runtime=True
    )
    max_detections: int = setting(
        100, "The most detections of one image; the best stay.", low=1, high=1000, runtime=True
    )
    classes: tuple[str, ...] = setting(
        (), "Labels (or class numbers as text) to report; empty: all of the model's.", runtime=True
    )
    class_thresholds: tuple[str, ...] = setting(
        (), "Thresholds of single classes, as 'person=0.7'; they win over confidence_threshold.", runtime=True
    )
    regions: tuple[str, ...] = setting(
        (),
        "Polygons of interest, as '0,0 0.5,0 0.5,1 0,1' (x,y as fractions of the image), of one camera where its "
        "name and a colon precede it; a detection counts if its centre is inside. Empty: everywhere.",
        runtime=True,
    )
    max_batch: int = setting(
        1, "The most images given to the model at once; a model made for one is rewritten for more.", low=1, high=64
    )
    track: bool = setting(
        False, "Number objects from image to image; one whose score dips to half the threshold stays reported."
    )
    track_patience: float = setting(
        1.0,
        "How long an object may be unseen and keep its number; more than the time between two images.",
        low=0.0,
        high=60.0,
        unit="s",
    )

    @property
    def cache_folder(self) -> Path | None:
        """``engine_cache`` as a path; None for the usual place."""
        return Path(self.engine_cache).expanduser() if self.engine_cache else None
