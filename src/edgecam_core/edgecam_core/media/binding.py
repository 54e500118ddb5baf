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

"""GStreamer's Python binding (``gi``), loaded once; and what differs between its versions.

Made for GStreamer 1.20 to 1.26 and later with PyGObject 3.42 and later. The newer ones refuse to change a buffer that
is shared, wrap structures, and have other enumeration classes: see the last three functions.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import functools
from typing import Any, NamedTuple

from edgecam_core.errors import MissingDependency
from edgecam_core.media import elements
from edgecam_core.media.launch_text import element_names

_APT = "sudo apt-get install python3-gi python3-gst-1.0 gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-base"


@functools.cache
def load() -> Any:
    """The initialised ``Gst`` module.

    Raises:
        MissingDependency: no binding; the message has the apt command.
    """
    _keep_the_unwinder()
    try:
        import gi

        for name in ("Gst", "GstVideo"):
            gi.require_version(name, "1.0")
        from gi.repository import Gst
    except (ImportError, ValueError) as error:
        raise MissingDependency(f"GStreamer's Python binding ({error})", _APT) from error
    Gst.init(None)
    return Gst


def _keep_the_unwinder() -> None:
    """Load libgcc's exception unwinder before GStreamer loads another.

    Debian's GStreamer pulls libunwind into the global scope; C++ libraries loaded later (ONNX Runtime) would take its
    unwinder for libgcc's and die at their first exception.
    """
    with contextlib.suppress(OSError):  # another C library: nothing to keep
        ctypes.CDLL("libgcc_s.so.1", mode=ctypes.RTLD_GLOBAL)


@functools.cache
def library(name: str, version: str = "1.0") -> Any:
    """Another GStreamer typelib by name, e.g. ``library("GstRtp")``; or one that is part of GStreamer.

    Raises:
        MissingDependency: the typelib is not installed.
    """
    load()
    import importlib

    try:
        importlib.import_module("gi").require_version(name, version)
        return importlib.import_module(f"gi.repository.{name}")
    except (ImportError, ValueError) as error:
        raise MissingDependency(f"GStreamer's Python binding ({error})", elements.typelib_remedy(name)) from error


def version() -> tuple[int, int, int]:
    major, minor, micro, _nano = load().version()
    return major, minor, micro


def has_element(name: str) -> bool:
    """Whether an element can be made here (its plugin is installed and its hardware was found)."""
    return load().ElementFactory.find(name) is not None


def make(name: str, *properties: str) -> Any:
    """A new element outside any pipeline, with properties given as name, value, name, value, ... in launch text.

    Raises:
        MissingDependency: the element is not installed.
    """
    require_elements(name)
    element = load().ElementFactory.make(name)
    for key, value in zip(properties[::2], properties[1::2], strict=True):
        load().util_set_object_arg(element, key, value)
    return element


def can_open(name: str) -> bool:
    """Whether an element is there and can take its device or display: a sink for an X server without Xv cannot."""
    gst = load()
    element = gst.ElementFactory.make(name) if has_element(name) else None
    if element is None:
        return False
    opened = element.set_state(gst.State.READY) == gst.StateChangeReturn.SUCCESS
    element.set_state(gst.State.NULL)
    return opened


def first_element(candidates: tuple[str, ...]) -> str:
    """The first available candidate.

    Raises:
        MissingDependency: none is; the message has the command to install the last one, which works on any machine.
    """
    for name in candidates:
        if has_element(name):
            return name
    raise MissingDependency(f"GStreamer element {' or '.join(candidates)}", elements.remedy(candidates[-1]))


def require_elements(text: str) -> None:
    """Raise MissingDependency, naming the apt package, when an element of the launch text is not installed."""
    for name in element_names(text):
        if not has_element(name):
            raise MissingDependency(f"GStreamer element '{name}'", elements.remedy(name))


def writable_copy(buffer: Any) -> Any:
    """A buffer of our own with the times, flags, metas and the shared memory of another.

    ``buffer.copy()`` only makes another reference in Python: changing its times changes the original in PyGObject
    3.42, and is refused (NotWritableMiniObject) from GStreamer 1.26 on.
    """
    gst = load()
    kinds = gst.BufferCopyFlags
    fresh = gst.Buffer.new()
    everything = kinds.FLAGS | kinds.TIMESTAMPS | kinds.META | kinds.MEMORY
    fresh.copy_into(buffer, everything, 0, buffer.get_size())
    return fresh


class Structure(NamedTuple):
    """A GstStructure as plain data: ``text`` is GStreamer's own form of it, ``fields`` those that are strings."""

    name: str
    text: str
    fields: dict[str, str]


def structure_of(structure: Any) -> Structure:
    """The plain data of what ``get_structure`` returns: from GStreamer 1.26 on a context manager around it."""
    with structure if hasattr(structure, "__enter__") else contextlib.nullcontext(structure) as bare:
        names = [bare.nth_field_name(index) for index in range(bare.n_fields())]
        fields = {name: text for name in names if (text := bare.get_string(name)) is not None}
        return Structure(bare.get_name(), bare.to_string(), fields)


class EnumValue(NamedTuple):
    """One value of a property's enumeration; ``nick`` is its name in launch text."""

    number: int
    nick: str
    name: str


def enum_values(spec: Any) -> list[EnumValue]:
    """The values that an enumeration property (a GParamSpec) may have, in ascending order."""
    enum_class = spec.enum_class
    if isinstance(enum_class, enum.EnumMeta):  # PyGObject from 3.52 on
        members: list[Any] = list(enum_class)
        return sorted(EnumValue(int(value), value.value_nick, value.value_name) for value in members)
    if hasattr(enum_class, "__enum_values__"):  # PyGObject before 3.50
        old = enum_class.__enum_values__
        return [EnumValue(int(key), old[key].value_nick, old[key].value_name) for key in sorted(old)]
    gobject = library("GObject", "2.0")
    found = []
    # The class has minimum, maximum and count; the maximum is often far from the other values.
    least, greatest = enum_class.minimum, enum_class.maximum
    for number in (*range(least, min(least + _MOST_VALUES, greatest)), greatest):
        if (value := gobject.enum_get_value(enum_class, number)) is not None:
            found.append(EnumValue(number, value.value_nick, value.value_name))
    return found


_MOST_VALUES = 4096


def flag_nicks(spec: Any) -> dict[str, int]:
    """The names in launch text of the flags that a flags property (a GParamSpec) may combine, and their numbers."""
    flags_class: Any = spec.value_type.pytype or type(spec.default_value)
    if isinstance(flags_class, enum.EnumMeta):  # PyGObject from 3.52 on
        members = list[Any](flags_class)
    else:
        members = list(getattr(flags_class, "__flags_values__", {}).values())
    return {member.value_nicks[0]: int(member) for member in members if member.value_nicks}
