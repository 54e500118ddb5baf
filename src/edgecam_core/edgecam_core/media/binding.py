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

"""GStreamer's Python binding (``gi``), loaded once, with the differences between its versions.

Supports GStreamer 1.20 and PyGObject 3.42 and later. Newer versions refuse to change a shared buffer, wrap structures,
and have other enumeration classes; the last functions of this module hide these differences.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import functools
import threading
from typing import Any, NamedTuple

from edgecam_core.errors import MissingDependency
from edgecam_core.media import elements
from edgecam_core.media.launch_text import element_names

_APT = "sudo apt-get install python3-gi python3-gst-1.0 gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-base"


_loading = threading.Lock()


@functools.cache
def load() -> Any:
    """The initialised ``Gst`` module. Thread-safe; the first call takes a tenth of a second.

    Raises:
        MissingDependency: the binding is not installed; the message contains the apt command.
    """
    with _loading:
        _load_unwinder()
        try:
            import gi

            for name in ("Gst", "GstVideo"):
                gi.require_version(name, "1.0")
            from gi.repository import Gst
        except (ImportError, ValueError) as error:
            raise MissingDependency(f"GStreamer's Python binding ({error})", _APT) from error
        Gst.init(None)
    return Gst


def _load_unwinder() -> None:
    """Load libgcc's exception unwinder before GStreamer loads another one.

    Debian's GStreamer loads libunwind into the global scope. C++ libraries loaded later (ONNX Runtime) would use its
    unwinder instead of libgcc's and crash at their first exception.
    """
    with contextlib.suppress(OSError):  # another C library, without libgcc
        ctypes.CDLL("libgcc_s.so.1", mode=ctypes.RTLD_GLOBAL)


@functools.cache
def library(name: str, version: str = "1.0") -> Any:
    """A typelib by name, e.g. ``library("GstRtp")`` or ``library("GLib", "2.0")``.

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
    """GStreamer's version: major, minor, micro."""
    major, minor, micro, _nano = load().version()
    return major, minor, micro


def has_element(name: str) -> bool:
    """Whether an element can be created (its plugin is installed and its hardware was found)."""
    return load().ElementFactory.find(name) is not None


def make(name: str, *properties: str) -> Any:
    """A new element outside any pipeline. ``properties`` are names and values in turn, the values as in launch text.

    Raises:
        MissingDependency: the element is not installed.
    """
    require_elements(name)
    element = load().ElementFactory.make(name)
    for key, value in zip(properties[::2], properties[1::2], strict=True):
        load().util_set_object_arg(element, key, value)
    return element


def can_open(name: str) -> bool:
    """Whether an element is available and can open its device or display (xvimagesink needs an X server with Xv)."""
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
        MissingDependency: none is available; the message contains the command to install the last candidate, which
            works on any machine.
    """
    for name in candidates:
        if has_element(name):
            return name
    raise MissingDependency(f"GStreamer element {' or '.join(candidates)}", elements.remedy(candidates[-1]))


def require_elements(text: str) -> None:
    """Check that every element of a launch text is installed.

    Raises:
        MissingDependency: an element is not; the message names its apt package.
    """
    for name in element_names(text):
        if not has_element(name):
            raise MissingDependency(f"GStreamer element '{name}'", elements.remedy(name))


def writable_copy(buffer: Any) -> Any:
    """A writable buffer with the times, flags and metas of another, sharing its memory.

    In Python, ``buffer.copy()`` only creates another reference: changing its times changes the original in PyGObject
    3.42, and fails (NotWritableMiniObject) from GStreamer 1.26 on.
    """
    gst = load()
    flags = gst.BufferCopyFlags
    copy = gst.Buffer.new()
    copy.copy_into(buffer, flags.FLAGS | flags.TIMESTAMPS | flags.META | flags.MEMORY, 0, buffer.get_size())
    return copy


class Structure(NamedTuple):
    """A GstStructure as plain data: ``text`` in GStreamer's notation, ``fields`` only those that are strings."""

    name: str
    text: str
    fields: dict[str, str]


def structure_of(structure: Any) -> Structure:
    """The plain data of a ``get_structure`` result, which is a context manager from GStreamer 1.26 on."""
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
    """The values of an enumeration property (a GParamSpec), in ascending order."""
    enum_class = spec.enum_class
    if isinstance(enum_class, enum.EnumMeta):  # PyGObject from 3.52 on
        members: list[Any] = list(enum_class)
        return sorted(EnumValue(int(value), value.value_nick, value.value_name) for value in members)
    if hasattr(enum_class, "__enum_values__"):  # PyGObject before 3.50
        old = enum_class.__enum_values__
        return [EnumValue(int(key), old[key].value_nick, old[key].value_name) for key in sorted(old)]
    gobject = library("GObject", "2.0")
    found = []
    # The class only has minimum, maximum and count, and the maximum is often far from the other values.
    least, greatest = enum_class.minimum, enum_class.maximum
    for number in (*range(least, min(least + _MAX_VALUES, greatest)), greatest):
        if (value := gobject.enum_get_value(enum_class, number)) is not None:
            found.append(EnumValue(number, value.value_nick, value.value_name))
    return found


_MAX_VALUES = 4096


def flag_nicks(spec: Any) -> dict[str, int]:
    """The flags of a flags property (a GParamSpec): their names in launch text and their numbers."""
    flags_class: Any = spec.flags_class
    if not isinstance(flags_class, enum.EnumMeta):  # PyGObject before 3.58 names the Python class elsewhere
        flags_class = spec.value_type.pytype or type(spec.default_value)
    if isinstance(flags_class, enum.EnumMeta):  # PyGObject from 3.52 on
        members = list[Any](flags_class)
    elif hasattr(flags_class, "__flags_values__"):  # PyGObject before 3.50
        members = list(flags_class.__flags_values__.values())
    else:
        gobject, mask = library("GObject", "2.0"), spec.flags_class.mask
        bits = [1 << position for position in range(32) if mask >> position & 1]
        values = [gobject.flags_get_first_value(spec.flags_class, bit) for bit in bits]
        return {value.value_nick: value.value for value in values if value is not None}
    return {member.value_nicks[0]: int(member) for member in members if member.value_nicks}
