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

"""Outputs of events: one file each, with a class that has ``name`` and a row in OUTPUTS; each behind a queue.

All are off by default. Secrets are read from files, never from parameters.
"""

from __future__ import annotations

from collections.abc import Callable

from edgecam_core.events.outputs.message import Output
from edgecam_core.events.outputs.mqtt import make_mqtt
from edgecam_core.events.outputs.outbox import Outbox
from edgecam_core.events.outputs.webhook import make_webhook
from edgecam_core.events.settings import EventsSettings

OUTPUTS: tuple[Callable[[EventsSettings, tuple[str, ...]], Output | None], ...] = (make_webhook, make_mqtt)


def open_outputs(settings: EventsSettings, cameras: tuple[str, ...]) -> list[Outbox]:
    """The outputs that are switched on, each with its queue and thread.

    Raises:
        SettingError: a file with a secret cannot be read.
        MissingDependency: a library is not installed.
    """
    made = [output for make in OUTPUTS if (output := make(settings, cameras)) is not None]
    return [Outbox(output, settings.output_queue) for output in made]
