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

"""Inference back ends: one file each, found by the table in ``backends``."""

from edgecam_core.inference.backends import BACKENDS, open_runner
from edgecam_core.inference.runner import Runner, RunnerOptions, TensorSpec

__all__ = ["BACKENDS", "Runner", "RunnerOptions", "TensorSpec", "open_runner"]
