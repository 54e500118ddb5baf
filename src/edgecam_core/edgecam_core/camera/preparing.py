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

"""Settings to the plan and the launch text of the pipeline on this machine."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from edgecam_core.camera import sources
from edgecam_core.camera.plan import SourcePlan, compose, converter, reshaped
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.media import gst


def prepare(settings: CameraSettings) -> tuple[SourcePlan, str]:
    """The plan and the launch text for these settings on this machine.

    Raises:
        SettingError: a setting is invalid, or cannot work on this machine (e.g. a missing file).
        MissingDependency: a GStreamer element is not installed.
    """
    sources.check(settings)
    plan = sources.plan(settings, gst.has_element)
    if reshaped(plan, settings):
        plan = replace(plan, notes=(*plan.notes, converter(settings, gst.has_element).note))
    text = compose(plan, settings, gst.has_element)
    gst.require_elements(text)
    return plan, text


@dataclass
class _Result:
    plan: SourcePlan | None = None
    error: Exception | None = None


def resolve(
    settings: CameraSettings, prepared: tuple[SourcePlan, str], wake: threading.Event
) -> tuple[SourcePlan, str]:
    """The plan and launch text after querying the source for its format; ``prepared`` if it needs no query.

    Blocks until the source responds, which may take seconds, or until ``wake`` is set.

    Raises:
        SourceError, SettingError, MissingDependency: the source cannot be used.
    """
    result = _Result()

    def query() -> None:
        try:
            result.plan = sources.resolve(settings, gst.has_element)
        except Exception as error:
            result.error = error

    if not sources.needs_resolving(settings):
        return prepared
    thread = threading.Thread(target=query, name="camera-query", daemon=True)
    thread.start()
    while thread.is_alive() and not wake.is_set():
        thread.join(0.05)
    if result.error is not None:
        raise result.error
    if result.plan is None:
        return prepared
    return result.plan, compose(result.plan, settings, gst.has_element)
