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

"""The GStreamer interface for the rest of edgecam: one import for several modules of this folder.

Other modules build launch text with pure functions and pass it to :class:`Pipeline`.
"""

from __future__ import annotations

from edgecam_core.media.binding import can_open as can_open
from edgecam_core.media.binding import enum_values as enum_values
from edgecam_core.media.binding import first_element as first_element
from edgecam_core.media.binding import flag_nicks as flag_nicks
from edgecam_core.media.binding import has_element as has_element
from edgecam_core.media.binding import library as library
from edgecam_core.media.binding import load as load
from edgecam_core.media.binding import make as make
from edgecam_core.media.binding import require_elements as require_elements
from edgecam_core.media.binding import structure_of as structure_of
from edgecam_core.media.binding import version as version
from edgecam_core.media.binding import writable_copy as writable_copy
from edgecam_core.media.event_loop import EventLoop as EventLoop
from edgecam_core.media.launch_text import element_names as element_names
from edgecam_core.media.launch_text import quoted as quoted
from edgecam_core.media.messages import BusMessage as BusMessage
from edgecam_core.media.pipeline import Pipeline as Pipeline
from edgecam_core.media.samples import MappedSample as MappedSample
from edgecam_core.media.samples import Plane as Plane
from edgecam_core.media.samples import buffer_of as buffer_of
