"""Explain a GStreamer pipeline: its elements, properties, capabilities and links, and what is missing."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from pathlib import Path

from edgecam_core.errors import EdgecamError, MissingDependency
from edgecam_core.explain import graph
from edgecam_core.explain.describe import Explanation, describe
from edgecam_core.media import elements


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pipeline", nargs="+", help="the pipeline, best in single quotes")
    parser.add_argument("--no-caps", action="store_true", help="do not open the pipeline to see the negotiated caps")
    parser.add_argument("--caps", action="store_true", help="open it even if a sink would write or send something")
    parser.add_argument("--dot", type=Path, metavar="FILE", help="write the graph: .dot, or .png/.svg with graphviz")


def run(arguments: argparse.Namespace) -> int:
    """0 when the pipeline could run here, 1 when something is missing or wrong."""
    text = re.sub(r"^\s*gst-launch-1\.0(\s+-\S+)*", "", " ".join(arguments.pipeline))
    text = re.sub(r"\s-e\s*$", "", text)
    explanation = describe(text)
    _print_rows(explanation)
    effect = graph.has_effects(text)
    negotiate = arguments.caps or (not arguments.no_caps and not effect)
    links, dot, problem = graph.from_text(text), "", ""
    if not explanation.missing and not explanation.wrong:
        try:
            built = graph.Graph(text, negotiate)
            links, dot, problem = built.links(), built.dot(), built.problem
            built.close()
        except EdgecamError as error:
            explanation.wrong.append(str(error))
    _print_links(links)
    if not negotiate and not arguments.no_caps and effect:
        print(f"\nnegotiated caps: not tried, because {effect} would act; --caps tries all the same")
    if problem:
        print(f"\nnegotiated caps: it cannot be opened here: {problem}")
    for name in explanation.missing:
        print(f"\nmissing: {name}: {elements.remedy(name)}")
    for what in explanation.wrong:
        print(f"\nwrong: {what}")
    if arguments.dot:
        _write_dot(arguments.dot, dot or graph.dot_of(links))
    return 1 if explanation.missing or explanation.wrong else 0


def _print_rows(explanation: Explanation) -> None:
    rows = [("piece", "is", "what it is"), *((row.text, row.kind, row.detail) for row in explanation.rows)]
    first = min(44, max(len(row[0]) for row in rows))
    second = max(len(row[1]) for row in rows)
    for text, kind, detail in rows:
        print(f"{text:{first}}  {kind:{second}}  {detail}")


def _print_links(links: list[graph.Link]) -> None:
    if links:
        print("\nlinks")
    for link in links:
        print(f"  {link.source} --> {link.sink}" + (f"    {_short(link.caps)}" if link.caps else ""))


def _short(caps: str) -> str:
    """Caps without their types: ``video/x-raw, format=I420, width=640``."""
    return re.sub(r"\((?:string|int|fraction|boolean|double|bitmask)\)", "", caps)


def _write_dot(path: Path, dot: str) -> None:
    if path.suffix == ".dot":
        path.write_text(dot)
    elif shutil.which("dot") is None:
        raise MissingDependency("graphviz, which draws the frame", "sudo apt-get install graphviz, or write a .dot")
    else:
        subprocess.run(["dot", f"-T{path.suffix[1:]}", "-o", str(path)], input=dot, text=True, check=True)
    print(f"\ngraph written to {path}")
