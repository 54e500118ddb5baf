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

"""The plan of a detector: its model file, family and labels, and the options for loading it."""

from __future__ import annotations

from dataclasses import dataclass

from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.runner import Progress, RunnerOptions, silent
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.family import Family, open_family
from edgecam_core.models.image_calibration import ImageCalibration
from edgecam_core.models.labels import fit_labels, metadata_labels, numbered, read_labels
from edgecam_core.models.zoo import locate


@dataclass(frozen=True)
class Plan:
    """A model file with its family and labels, not yet loaded for inference."""

    model: ModelFile
    family: Family
    labels: tuple[str, ...]

    @classmethod
    def read(cls, settings: DetectorSettings, progress: Progress = silent) -> Plan:
        """Find the model, its family and labels. Blocks while a model of the zoo is downloaded the first time.

        Raises:
            ModelError: no such model, or no family matches it.
            SettingError: the labels do not match the model.
            MissingDependency: see :meth:`ModelFile.read` and :func:`edgecam_core.models.zoo.fetch`.
        """
        model = ModelFile.read(locate(settings.model, progress))
        labels, origin = _labels(settings, model)
        family = open_family(model, metadata_labels(model) or labels)  # the user's labels must match the model's own
        columns, background = family.columns, family.has_background
        fitted = fit_labels(labels, columns, background, origin) if labels else numbered(columns, background)
        return cls(model, family, fitted)


def runner_options(plan: Plan, settings: DetectorSettings, progress: Progress = silent) -> RunnerOptions:
    """The options for loading a plan's model.

    Raises:
        SettingError: the calibration folder is missing or holds no image.
    """
    calibration = ImageCalibration(settings.calibration, plan.family.spec) if settings.calibration else None
    return RunnerOptions(
        precision=settings.precision,
        device=settings.device,
        threads=settings.threads,
        cache=settings.cache_folder,
        rebuild=settings.force_engine_update,
        max_batch=settings.max_batch,
        calibration=calibration,
        progress=progress,
    )


def _labels(settings: DetectorSettings, model: ModelFile) -> tuple[tuple[str, ...], str]:
    """Labels and their origin: the user's file, else the model's metadata, else labels.txt next to the model."""
    label_file = model.path.with_name("labels.txt")
    if settings.labels:
        return read_labels(settings.labels), settings.labels
    if names := metadata_labels(model):
        return names, f"{model.path} (metadata)"
    return (read_labels(label_file), str(label_file)) if label_file.is_file() else ((), "")
