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

"""Outputs of events. Each is one file with a function ``make``, a row in OUTPUTS, and its own queue.

All are off by default. Secrets are read from files, never from parameters.
"""

from __future__ import annotations

import importlib

from edgecam_core.events.outputs.outbox import Outbox
from edgecam_core.events.settings import EventsSettings

OUTPUTS = {"webhook_url": "webhook", "mqtt_url": "mqtt"}
"""The setting that switches an output on, and its file, which is imported only then."""


def open_outputs(settings: EventsSettings, cameras: tuple[str, ...]) -> list[Outbox]:
    """The enabled outputs, each with its queue and thread.

    Raises:
        SettingError: a file with a secret cannot be read.
        MissingDependency: a library is not installed.
    """
    files = [file for setting, file in OUTPUTS.items() if getattr(settings, setting)]
    modules = [importlib.import_module(f"{__name__}.{file}") for file in files]
    return [Outbox(module.make(settings, cameras), settings.output_queue) for module in modules]
