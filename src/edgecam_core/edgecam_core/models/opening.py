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

"""Opens a detector in the way measured to be fastest, also while another one runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgecam_core.errors import ModelError
from edgecam_core.inference.artifacts import NotBuilt
from edgecam_core.inference.runner import Progress, silent
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.plan import Plan
from edgecam_core.models.tuning import is_open, stored_choice, with_choice
from edgecam_core.side_process import SideProcess


def open_tuned(settings: DetectorSettings, progress: Progress = silent, build: bool = True) -> Detector:
    """As :meth:`Detector.open`, but with the fastest choice, if it has been measured.

    Raises:
        SettingError, ModelError, MissingDependency: as :meth:`Detector.open`.
        NotBuilt: see :meth:`Detector.load`.
    """
    plan = Plan.read(settings, progress)
    choice = stored_choice(plan, settings) if settings.tune and is_open(settings) else None
    if choice is None:
        return Detector.load(plan, settings, progress, build=build)
    try:
        detector = Detector.load(plan, with_choice(choice, settings), progress, build=build)
        detector.tuned = True
        return detector
    except ModelError as error:
        detector = Detector.load(plan, settings, progress, build=build)
        detector.warnings.append(f"the choice measured as fastest cannot be loaded: {choice}: {error}")
        return detector


def open_beside(settings: DetectorSettings, progress: Progress = silent) -> Detector:
    """As :func:`open_tuned`, while another model runs in this process: a file that is missing in the cache is built in
    a separate process with low priority.

    If the cache cannot be written, the file is built in this process after all: see :meth:`Artifact.get`.

    Raises:
        EdgecamError: that process failed, with its reason; or as :func:`open_tuned`.
    """
    try:
        return open_tuned(settings, progress, build=False)
    except NotBuilt as missing:
        progress(str(missing))
        given = {name: getattr(settings, name) for name in DetectorSettings.specs()}
        SideProcess("building a model", _build, given).result(progress)
    return open_tuned(settings.changed(force_engine_update=False), progress)


def _build(given: Mapping[str, Any], progress: Progress) -> None:
    open_tuned(DetectorSettings.from_mapping(given), progress).close()
