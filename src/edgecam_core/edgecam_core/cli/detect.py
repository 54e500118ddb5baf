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

"""Find objects in images, folders, videos or a camera; write annotated images and results.

    edgecam detect "$IMAGES/*.jpg" --output out/%i.jpg
    edgecam detect clip.mp4 --output seen.mp4 --json seen.json --confidence-threshold 0.6
    edgecam detect v4l2:///dev/video0 --limit 100 --csv seen.csv

Exit code 1 if an image could not be read or processed. Ctrl-C ends the command and writes the results so far.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgecam_core.cli._settings import add_settings, settings_from, shown_address
from edgecam_core.masking import masked_address
from edgecam_core.models.detector_settings import DetectorSettings

if TYPE_CHECKING:
    from edgecam_core.images.inputs import InputImage
    from edgecam_core.types import Detections


_SHOWN = 5  # detections in the line of an image; --json and --csv contain all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", nargs="+", help="image, folder, glob, video, or URI of a camera")
    parser.add_argument(
        "--output",
        metavar="PATH",
        help="write annotated images to a folder, a pattern such as out/%%i.jpg, or a video (.mp4)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all detections with labels and boxes")
    parser.add_argument("--coco", type=Path, metavar="FILE", help="write all detections in COCO's result format")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write one line per detection")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="stop after N images; 0: no limit")
    parser.add_argument("--quiet", action="store_true", help="print no line per image and no progress")
    add_settings(parser, DetectorSettings)


def waits_for(args: argparse.Namespace) -> str:
    model = shown_address(args, DetectorSettings, "model")
    more = f" and {len(args.input) - 1} more" if len(args.input) > 1 else ""
    return "" if args.quiet else f"loading {model}, then opening {masked_address(args.input[0])}{more}"


def run(args: argparse.Namespace) -> int:
    from edgecam_core.errors import ImageError, InferenceError
    from edgecam_core.images import annotate, results
    from edgecam_core.images.inputs import each, expand, is_moving
    from edgecam_core.models.detector import Detector

    settings = settings_from(args, DetectorSettings)
    sources = expand(args.input)
    stills = 0 if any(map(is_moving, sources)) else len(sources)
    progress = _Progress(stills, args.quiet)
    # Frames of a video, or a single image, are processed one at a time with all threads.
    streams = max(1, min(stills, settings.threads or len(os.sched_getaffinity(0))))
    writer = annotate.writer(args.output, sources)
    files = {kind: path for kind in ("json", "coco", "csv") if (path := getattr(args, kind))}
    for kind, path in files.items():
        results.check_writable(kind, path)
    detector = Detector.open(settings, progress.loading, streams)
    found: list[results.ImageResult] = []
    bad = 0

    def detect(item: InputImage) -> Detections | str:
        """The detections in an image, or the reason why there are none."""
        if item.frame is None:
            return item.problem
        try:
            return detector.detect(item.frame)
        except (ImageError, InferenceError) as error:
            return str(error)

    images = each(sources, detect, detector.streams, progress.waiting)
    try:
        for item, detected in images:
            if item.frame is None or isinstance(detected, str):
                bad += 1
                progress.problem(f"{item.name}: {detected}")
                continue
            if files:
                size = (item.frame.width, item.frame.height)
                found.append(results.ImageResult(progress.count + 1, item.name, *size, detected))
            writer.write(item, detected)
            progress.image(item.name, detected)
            if progress.count == args.limit:
                break
    except KeyboardInterrupt:
        pass  # the usual way to end a live camera
    finally:  # write the results so far, even after a camera failure or with a full disk
        images.close()
        writer.close()
        detector.close()
        for kind, path in files.items():
            getattr(results, f"write_{kind}")(path, found)
    progress.end(detector.runner.description, bad)
    return int(bad > 0 or progress.count == 0)


def summary(detections: Detections) -> str:
    """One line with the best detections, their scores, and the number of others."""
    best = [f"{item.label} {item.score:.2f}" for item, _ in zip(detections, range(_SHOWN), strict=False)]
    more = len(detections) - len(best)
    return (", ".join(best) + (f" and {more} more" if more else "")) or "nothing"


class _Progress:
    """Prints one line per image to stdout, or a progress line if stdout is a terminal."""

    def __init__(self, total: int, quiet: bool) -> None:
        self.count = 0
        self._total = total
        self._quiet = quiet
        self._bar = sys.stdout.isatty() and not quiet
        self._started = 0.0

    def loading(self, text: str) -> None:
        if not self._quiet:
            print(text, file=sys.stderr, flush=True)

    def image(self, name: str, detections: Detections) -> None:
        self.count += 1
        now = time.perf_counter()
        self._started = self._started or now
        if self._bar:
            rate = (self.count - 1) / (now - self._started) if self.count > 1 else 0.0
            whole = f"/{self._total}" if self._total else ""
            print(f"\r{self.count}{whole} images, {rate:.1f} per second ", end="", flush=True)
        elif not self._quiet:
            print(f"{name}: {summary(detections)}", flush=True)

    def waiting(self, text: str) -> None:
        """Report what a camera without frames is waiting for; this is not an error."""
        if not self._quiet:
            self.problem(text)

    def problem(self, text: str) -> None:
        self._leave_bar()
        print(text, file=sys.stderr, flush=True)

    def end(self, backend: str, bad: int) -> None:
        seconds = time.perf_counter() - self._started if self._started else 0.0
        rate = f", {(self.count - 1) / seconds:.1f} per second after the first" if self.count > 1 and seconds else ""
        failed = f", {bad} could not be used" if bad else ""
        self._leave_bar()
        print(f"{self.count} images{rate}{failed}; {backend}")

    def _leave_bar(self) -> None:
        if self._bar and self.count:
            print()
