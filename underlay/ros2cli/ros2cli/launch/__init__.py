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

"""A launcher for ROS 2 XML launch files, without ROS.

`xml_file` reads a file with line numbers, `schema` checks tags and attributes and parses their substitutions
(`template`), and `actions` evaluates the file into a plan of processes (`context`). `supervisor` starts the processes
once all included files are evaluated, so an error in any file stops the launch before a process is started.
"""
