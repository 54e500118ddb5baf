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

"""The messages on a pipeline's bus as plain data."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from edgecam_core.masking import masked
from edgecam_core.media.binding import load, structure_of


@dataclass(frozen=True)
class BusMessage:
    """One bus message. ``kind`` is error, warning, eos, segment-done or element.

    ``domain`` and ``code`` are those of the GError. ``name`` and ``fields`` are the name and the text fields of an
    element message. ``flow`` is the flow return that stopped streaming, e.g. not-negotiated.
    """

    kind: str
    source: str
    text: str
    domain: str = ""
    code: int = 0
    name: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    flow: str = ""


# Some elements pass on the debug text of others: a line of C code, and element names that differ in each run.
_CODE_LINE = re.compile(r"\S+\.c\(\d+\): [^\n]*\n")
_FLOW = re.compile(r"streaming stopped, reason ([\w-]+)")
_MISSING = re.compile(r"Missing (\w+): (.+) \(([^,()]+)(?:[^\n]*?\bfourcc=\(int\)(-?\d+))?")


def plain_message(message: Any) -> BusMessage | None:
    """The plain data of a GstMessage, with passwords masked; None for other kinds."""
    gst = load()
    source = message.src.get_name() if message.src else ""
    if message.type in (gst.MessageType.ERROR, gst.MessageType.WARNING):
        parse = message.parse_error if message.type == gst.MessageType.ERROR else message.parse_warning
        error, debug = parse()
        kind = "error" if message.type == gst.MessageType.ERROR else "warning"
        # The factory's name: "v4l2src: ..." reads the same each time a pipeline is built, "v4l2src7: ..." does not.
        factory = message.src.get_factory() if isinstance(message.src, gst.Element) else None
        who = factory.get_name() if factory else source
        text = _missing(debug or "") or " ".join(_CODE_LINE.sub("", masked(error.message)).split())
        flow = _FLOW.search(debug or "")
        return BusMessage(kind, source, f"{who}: {text}", error.domain, error.code, flow=flow[1] if flow else "")
    if message.type == gst.MessageType.EOS:
        return BusMessage("eos", source, "end of stream")
    if message.type == gst.MessageType.SEGMENT_DONE:
        return BusMessage("segment-done", source, "end of the segment")
    if message.type == gst.MessageType.ELEMENT:
        structure = structure_of(message.get_structure())
        return BusMessage("element", source, structure.text, name=structure.name, fields=structure.fields)
    return None


def _missing(debug: str) -> str:
    """The plug-in that is missing, from the debug text of decodebin's error; ``""`` if none is."""
    match = _MISSING.search(debug)
    if match is None:
        return ""
    kind, name, media_type, fourcc = match.groups()
    if fourcc:
        code = int(fourcc).to_bytes(4, "little", signed=int(fourcc) < 0).decode("ascii", "replace")
        return f"this GStreamer has no {kind} for the AVI format '{code.strip()}'"
    return f"this GStreamer has no {kind} for {name}" + ("" if name == media_type else f" ({media_type})")
