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

"""The exception hierarchy. Every message names the setting, its value and the remedy."""

from __future__ import annotations

from collections.abc import Iterable

from edgecam_core.masking import masked, masked_address


class EdgecamError(Exception):
    """Base class of all errors raised by edgecam; the text is one line for the user, without credentials."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(masked(one) if isinstance(one, str) else one for one in arguments))

    @classmethod
    def of(cls, error: BaseException) -> EdgecamError:
        """The error itself if it is an EdgecamError, otherwise wrapped in one; used to pass errors between threads."""
        if isinstance(error, EdgecamError):
            return error
        wrapped = EdgecamError(f"unexpected {type(error).__name__}: {error}")
        wrapped.__cause__ = error
        return wrapped


class SettingError(EdgecamError, ValueError):
    """A setting has an invalid value.

    Args:
        name: the parameter name as the user types it.
        value: the given value.
        remedy: the reason and the accepted values, e.g. ``"must be 1 to 240 Hz"``.
    """

    def __init__(self, name: str, value: object, remedy: str) -> None:
        displayed = masked_address(value) if isinstance(value, str) else value
        super().__init__(f"parameter '{name}' is {displayed!r}: {remedy}")
        self.name = name
        self.value = value
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[SettingError], tuple[str, object, str]]:
        return SettingError, (self.name, self.value, self.remedy)


class UnknownSetting(EdgecamError, KeyError):
    """A setting that does not exist; the message suggests the closest names."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        from difflib import get_close_matches

        names = sorted(known)
        near = get_close_matches(name, names, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(names)}"
        self.text = f"parameter '{name}' does not exist: {hint}"
        super().__init__(self.text)

    def __str__(self) -> str:  # KeyError would print the repr
        return self.text


class MissingDependency(EdgecamError):
    """A required dependency is not installed; ``install`` is the command that installs it."""

    def __init__(self, what: str, install: str) -> None:
        super().__init__(f"{what} is not installed: {install}")
        self.what = what
        self.install = install


class SourceError(EdgecamError):
    """An image source failed or ended; the owner may retry."""


class PipelineError(EdgecamError):
    """A GStreamer pipeline cannot be built or has failed."""


class ImageError(EdgecamError, ValueError):
    """An invalid image: unknown encoding, invalid size, too few bytes."""


class ModelError(EdgecamError):
    """A model file that is missing, damaged or does not match its family."""


class InferenceError(EdgecamError):
    """A loaded model failed on one input; the next input may work."""


def first_line(error: BaseException) -> str:
    """The first line of an exception's text; its type if there is no text."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
