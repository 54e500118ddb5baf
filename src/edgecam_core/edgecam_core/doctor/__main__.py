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

"""``GROUP`` runs one group of checks and prints its findings as one line of JSON, for ``examine``. ``--free``: free."""

import json
import sys

from edgecam_core.doctor import examine_group, shared_memory, temporary_folders

if sys.argv[1] == "--free":
    for group in (shared_memory, temporary_folders):
        if removed := group.free():
            print(removed)
else:
    print(json.dumps([finding.as_dict() for finding in examine_group(sys.argv[1])]))
