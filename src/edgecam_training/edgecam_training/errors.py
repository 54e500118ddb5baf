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

"""Errors of edgecam_training, in addition to those of edgecam_core."""

from __future__ import annotations

from edgecam_core.errors import EdgecamError


class DatasetError(EdgecamError):
    """A data set that is missing, empty, contradictory or not of a known layout."""


class CheckpointError(EdgecamError):
    """A checkpoint that cannot be read, or of another model or class list."""


class TrainingError(EdgecamError):
    """Training had to stop; what was learned so far is saved."""


class ExportError(EdgecamError):
    """An exported model that does not compute what the original does, or loses too much accuracy."""
