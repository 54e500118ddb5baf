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

"""Each file in this folder is one kind of source.

A source file has ``SCHEMES`` (the URI schemes it handles), ``EXAMPLE`` (a URI for messages and docs) and the pure
function ``plan(settings, uri, have) -> SourcePlan``. It may have ``check(settings, uri)``, which raises SettingError
for permanent errors of the system, such as a missing file. If its format is not known from the address, it has
``resolve(settings, uri, have) -> SourcePlan``, which queries the source.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

from edgecam_core.camera.plan import SourcePlan
from edgecam_core.camera.platform import Have
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.camera.uri import NETWORK, SourceUri, check_address, parse
from edgecam_core.errors import EdgecamError, SettingError
from edgecam_core.masking import masked, masked_address


@functools.cache
def table() -> dict[str, ModuleType]:
    """The source file of each scheme."""
    found = {}
    for entry in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{entry.name}")
        found.update(dict.fromkeys(module.SCHEMES, module))
    return found


def shown(settings: CameraSettings) -> str:
    """The source for logs, without the password."""
    return masked(settings.pipeline) or masked_address(settings.source)


def activity(settings: CameraSettings) -> str:
    """The verb for what a camera does until the first frame arrives, e.g. "connecting to"."""
    scheme = find(settings)[1].scheme
    return "listening on" if scheme == "rtp" else "connecting to" if scheme in NETWORK else "opening"


def find(settings: CameraSettings) -> tuple[ModuleType, SourceUri]:
    """The source file and the URI for these settings.

    Raises:
        SettingError: unknown scheme.
    """
    uri = parse(f"pipeline:{settings.pipeline}" if settings.pipeline else settings.source)
    known = table()
    if uri.scheme not in known:
        from difflib import get_close_matches

        near = get_close_matches(uri.scheme, known, n=1)
        hint = f"did you mean {near[0]}://? " if near else ""
        examples = ", ".join(sorted({module.EXAMPLE for module in known.values()}))
        raise SettingError("source", uri.masked(), f"unknown scheme '{uri.scheme}'; {hint}sources are {examples}")
    check_address(uri)
    return known[uri.scheme], uri


@contextlib.contextmanager
def _explained(settings: CameraSettings) -> Iterator[None]:
    """Turn errors of the system or a library that a source causes into errors of the setting."""
    try:
        yield
    except EdgecamError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingError("source", shown(settings), f"cannot be used: {reason}; check the spelling") from error


def plan(settings: CameraSettings, have: Have) -> SourcePlan:
    """The plan for the source of these settings; depends only on the settings and ``have``."""
    module, uri = find(settings)
    with _explained(settings):
        result: SourcePlan = module.plan(settings, uri, have)
        return result


def needs_resolving(settings: CameraSettings) -> bool:
    """Whether :func:`resolve` must be called before the source is opened."""
    return hasattr(find(settings)[0], "resolve")


def resolve(settings: CameraSettings, have: Have) -> SourcePlan:
    """The plan for a source whose format is not known from its address. Queries the source and blocks meanwhile.

    Raises:
        SourceError: the source is unreachable or delivers no video.
    """
    module, uri = find(settings)
    result: SourcePlan = module.resolve(settings, uri, have)
    return result


def check(settings: CameraSettings) -> None:
    """Check that the source can work on this system; a source that may appear later is not an error.

    Raises:
        SettingError: it cannot.
    """
    module, uri = find(settings)
    if hasattr(module, "check"):
        with _explained(settings):
            module.check(settings, uri)
