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

"""The links of a pipeline and their negotiated caps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgecam_core.errors import PipelineError
from edgecam_core.explain.tokens import tokens
from edgecam_core.media import gst

# Sinks without side effects while the pipeline is only paused.
_HARMLESS = (
    "fakesink", "appsink", "autovideosink", "xvimagesink", "ximagesink", "glimagesink", "waylandsink", "fakevideosink",
    "nveglglessink", "nv3dsink", "fpsdisplaysink", "autoaudiosink",
)  # fmt: skip


@dataclass(frozen=True)
class Link:
    """A link between two elements. ``caps`` are the negotiated caps; ``""`` if there are none yet."""

    source: str
    sink: str
    caps: str = ""


def has_effects(text: str) -> str:
    """The first sink that would write or send data, or ``""``."""
    names = gst.element_names(text)
    return next((name for name in names if name.endswith("sink") and name not in _HARMLESS), "")


def from_text(text: str) -> list[Link]:
    """The links by the text only, for pipelines with elements that are not installed; ignores branches."""
    found: list[Link] = []
    before, linked = "", False
    for token in tokens(text):
        if token.kind == "link":
            linked = True
        elif token.kind in ("element", "reference"):
            if linked and before:
                found.append(Link(before, token.text))
            before, linked = token.text, False
    return found


def possible(text: str) -> list[Link]:
    """The links by the text, with the caps that the pad templates and the caps between the elements allow.

    ``caps`` is empty if an element is not installed or any caps may pass, and ``EMPTY`` if no caps can pass.
    """
    g = gst.load()
    found: list[Link] = []
    before, linked, caps = "", False, g.Caps.new_any()
    for token in tokens(text):
        if token.kind == "link":
            linked = True
        elif token.kind == "caps":
            between = g.Caps.from_string(token.text.strip("\"'"))
            caps = caps.intersect(between) if between is not None else caps
        elif token.kind in ("element", "reference"):
            if linked and before:
                allowed = caps.intersect(_template(before, "SRC")).intersect(_template(token.text, "SINK"))
                found.append(Link(before, token.text, "" if allowed.is_any() else allowed.simplify().to_string()))
            before, linked, caps = token.text, False, g.Caps.new_any()
    return found


def _template(element: str, direction: str) -> Any:
    """The caps of an element's pad templates in one direction (SRC or SINK)."""
    g = gst.load()
    factory = g.ElementFactory.find(element)
    if factory is None:
        return g.Caps.new_any()
    found = g.Caps.new_empty()
    for template in factory.get_static_pad_templates():
        if template.direction == getattr(g.PadDirection, direction):
            found.append(template.get_caps())
    return found


class PipelineGraph:
    """A built pipeline. With ``negotiate``, it is paused; this blocks for up to ``timeout`` seconds.

    ``problem`` is the reason if the pipeline cannot be paused.

    Raises:
        MissingDependency: an element is not installed.
        PipelineError: the text does not parse.
    """

    def __init__(self, text: str, negotiate: bool, timeout: float = 5.0) -> None:
        self._pipeline = gst.Pipeline(text)
        self.problem = ""
        if negotiate:
            try:
                self._pipeline.preroll(timeout)
            except PipelineError as error:
                self.problem = str(error)

    def links(self) -> list[Link]:
        """The links between elements, sources first."""
        found = []
        for element in self._elements():
            for pad in element.srcpads:
                peer = pad.get_peer()
                if peer is not None and peer.get_parent_element() is not None:
                    caps = pad.get_current_caps()
                    text = caps.to_string() if caps else ""
                    found.append(Link(element.get_name(), peer.get_parent_element().get_name(), text))
        return found

    def dot(self) -> str:
        """Graphviz text of the whole pipeline."""
        g = gst.load()
        return str(g.debug_bin_to_dot_data(self._pipeline.gst_pipeline, g.DebugGraphDetails.ALL))

    def close(self) -> None:
        self._pipeline.stop()

    def _elements(self) -> list[Any]:
        """Top-level elements, sources first."""
        iterator = self._pipeline.gst_pipeline.iterate_sorted()
        found: list[Any] = []
        while True:
            result, element = iterator.next()
            if result != gst.load().IteratorResult.OK:
                return found[::-1]
            found.append(element)


def dot_of(links: list[Link]) -> str:
    """Graphviz text of the links without caps."""
    lines = [f'  "{link.source}" -> "{link.sink}";' for link in links]
    return "\n".join(["digraph pipeline {", "  rankdir=LR; node [shape=box];", *lines, "}", ""])
