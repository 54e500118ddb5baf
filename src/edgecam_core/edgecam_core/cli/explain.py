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

"""Explain a GStreamer pipeline: its elements, properties, caps and links, and what is missing."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from pathlib import Path

from edgecam_core.errors import EdgecamError, MissingDependency, SettingError
from edgecam_core.explain import pipeline_graph
from edgecam_core.explain.describe import Explanation, describe
from edgecam_core.media import elements

_LONGEST = 300  # characters of caps in a line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pipeline", nargs="+", help="the pipeline, preferably in single quotes")
    parser.add_argument("--no-caps", action="store_true", help="do not open the pipeline to see the negotiated caps")
    parser.add_argument("--caps", action="store_true", help="open the pipeline even if a sink would write or send data")
    parser.add_argument(
        "--dot", type=Path, metavar="FILE", help="write the graph to a .dot file, or .png/.svg with graphviz"
    )


def waits_for(_arguments: argparse.Namespace) -> str:
    return "GStreamer reads its elements and opens the pipeline"


def run(arguments: argparse.Namespace) -> int:
    """Return 0 if the pipeline can run on this machine, 1 if elements are missing or something is wrong."""
    text = re.sub(r"^\s*gst-launch-1\.0(\s+-\S+)*", "", " ".join(arguments.pipeline))
    text = re.sub(r"\s-e\s*$", "", text)
    explanation = describe(text)
    _print_rows(explanation)
    effect = pipeline_graph.has_effects(text)
    negotiate = arguments.caps or (not arguments.no_caps and not effect)
    links, dot, problem = pipeline_graph.possible(text), "", ""
    explanation.wrong += [
        f"{link.source} --> {link.sink}: their pad templates and the caps between them have no common format"
        for link in links
        if link.caps == "EMPTY"
    ]
    if not explanation.missing and not explanation.wrong:
        try:
            built = pipeline_graph.PipelineGraph(text, negotiate)
            dot, problem = built.dot(), built.problem
            if negotiate and not problem:
                links = built.links()
            built.close()
        except EdgecamError as error:
            explanation.wrong.append(str(error))
    _print_links(links, bool(dot) and negotiate and not problem)
    if not negotiate and not arguments.no_caps and effect:
        print(f"\nnegotiated caps: not tried, because {effect} would write or send data; use --caps to try anyway")
    if problem:
        print(f"\nnegotiated caps: the pipeline cannot be opened on this machine: {problem}")
    for name in explanation.missing:
        print(f"\nmissing: {name}: {elements.remedy(name)}")
    for fault in explanation.wrong:
        print(f"\nwrong: {fault}")
    if arguments.dot:
        _write_dot(arguments.dot, dot or pipeline_graph.dot_of(links))
    return 1 if explanation.missing or explanation.wrong else 0


def _print_rows(explanation: Explanation) -> None:
    rows = [("text", "kind", "description"), *((row.text, row.kind, row.detail) for row in explanation.rows)]
    first = min(44, max(len(row[0]) for row in rows))
    second = max(len(row[1]) for row in rows)
    for text, kind, detail in rows:
        print(f"{text:{first}}  {kind:{second}}  {detail}")


def _print_links(links: list[pipeline_graph.Link], negotiated: bool) -> None:
    if links:
        print("\nlinks" if negotiated else "\nlinks, with the caps that the pad templates allow")
    for link in links:
        print(f"  {link.source} --> {link.sink}" + (f"    {_short(link.caps)}" if link.caps else ""))


def _short(caps: str) -> str:
    """Caps without their types: ``video/x-raw, format=I420, width=640``."""
    plain = re.sub(r"\((?:string|int|fraction|boolean|double|bitmask)\)", "", caps)
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]} …"


def _write_dot(path: Path, dot: str) -> None:
    if path.suffix == ".dot":
        try:
            path.write_text(dot)
        except OSError as error:
            raise SettingError(
                "--dot", str(path), f"cannot be written ({error.strerror}); choose another file"
            ) from None
    elif shutil.which("dot") is None:
        raise MissingDependency("graphviz, which draws the graph", "sudo apt-get install graphviz, or write a .dot")
    else:
        command = ["dot", f"-T{path.suffix[1:]}", "-o", str(path)]
        drawn = subprocess.run(command, input=dot, text=True, capture_output=True, check=False)
        if drawn.returncode:
            reason = drawn.stderr.strip().splitlines()[-1] if drawn.stderr.strip() else "graphviz failed"
            raise SettingError("--dot", str(path), f"cannot be drawn ({reason}); write a .dot, .png or .svg file")
    print(f"\ngraph written to {path}")
