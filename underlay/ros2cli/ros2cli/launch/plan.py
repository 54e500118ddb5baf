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

"""The result of evaluating launch files: the processes to start, fully resolved."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProcessSpec:
    """One process. Times are in seconds; a negative `respawn_max_retries` means no limit.

    After SIGINT the process has `sigterm_timeout` until SIGTERM and then `sigkill_timeout` until SIGKILL.
    """

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    cwd: str | None = None
    shell: bool = False
    output: str = "log"
    respawn: bool = False
    respawn_delay: float = 0.0
    respawn_max_retries: int = -1
    sigterm_timeout: float = 5.0
    sigkill_timeout: float = 5.0
    required: bool = False

    @property
    def command_line(self) -> str:
        """The command as printed by `ros2 launch`: joined by spaces, without empty arguments."""
        return " ".join(part for part in self.command if part.strip())
