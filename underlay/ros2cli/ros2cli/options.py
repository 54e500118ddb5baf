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

"""Types of command line options."""

from __future__ import annotations

from argparse import ArgumentTypeError


def unsigned_int(text: str) -> int:
    """A non-negative integer."""
    if not text.isdigit():
        raise ArgumentTypeError("value must be non-negative integer")
    return int(text)


def positive_int(text: str) -> int:
    """A positive integer."""
    if not text.isdigit() or int(text) == 0:
        raise ArgumentTypeError("value must be a positive integer")
    return int(text)


def positive_float(text: str) -> float:
    """A positive number."""
    try:
        value = float(text)
    except ValueError as error:
        raise ArgumentTypeError("Expects a floating point number") from error
    if not value > 0.0:
        raise ArgumentTypeError("Value must be positive")
    return value
