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

"""``edgecam replay --compare``: two models on the images of a recording."""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from edgecam_core.cli._settings import settings_from
from edgecam_core.errors import EdgecamError
from edgecam_core.models.detector_settings import DetectorSettings

if TYPE_CHECKING:
    from edgecam_core.images.comparison import Disagreement
    from edgecam_core.recording.reader import Recording

SETTINGS = ("labels", "backend", "confidence_threshold", "nms_threshold", "classes", "threads")
_STORE_SECONDS = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("comparing models")
    group.add_argument("--compare", nargs=2, metavar=("A", "B"), help="models: ONNX files or names of the zoo")
    group.add_argument("--output", type=Path, metavar="FOLDER", help="images in which the models differ, side by side")
    group.add_argument("--collect", type=Path, metavar="FOLDER", help="keep these images as a collection to label")
    group.add_argument("--most", type=int, default=100, metavar="N", help="maximum number of these (default 100)")


def run(args: argparse.Namespace, recording: Recording) -> int:
    """Compare two models on the images. Returns 0 if both found the same objects in every image, else 1."""
    from edgecam_core.images.comparison import Comparison, disagreements
    from edgecam_core.images.inputs import read_inputs
    from edgecam_core.models.detector import Detector
    from edgecam_core.recording import image_messages as recorded
    from edgecam_core.recording.playback import image_topic

    topic = image_topic(recording, recorded.TYPES, (args.topics or [""])[0])
    recording.close()
    settings = settings_from(args, DetectorSettings)
    first, second = (Detector.open(settings.changed(model=model)) for model in args.compare)
    query = urlencode({"topic": topic, "start": args.start})
    images = read_inputs([f"mcap://{quote(str(args.recording.absolute()))}?{query}"])
    counts, kept = Comparison(), _Kept(args, topic)
    try:
        for one in disagreements(images, first, second, counts):
            if counts.differing <= args.most:
                kept.add(one)
    finally:
        images.close()
        kept.close()
        first.close()
        second.close()
    width = max(len(row[0]) for row in counts.rows())
    print(f"A {args.compare[0]}\nB {args.compare[1]}")
    print(f"{'label':<{width}}  {'both':>7}  {'only A':>7}  {'only B':>7}")
    for label, *numbers in counts.rows():
        print(f"{label:<{width}}  " + "  ".join(f"{number:>7}" for number in numbers))
    print(f"{counts.images} images, {counts.differing} of them with differences")
    if counts.bad:
        print(f"error: {counts.bad} images could not be used", file=sys.stderr)
    return int(counts.differing > 0 or counts.bad > 0 or counts.images == 0)


class _Kept:
    """Writes the disagreements to the folders of --output and --collect."""

    def __init__(self, args: argparse.Namespace, topic: str) -> None:
        self._output: Path | None = args.output
        self._names = ("A", "B")
        self._camera = topic.rpartition("/")[0].strip("/") or "camera"
        self._collector = None
        if self._output is not None:
            self._output.mkdir(parents=True, exist_ok=True)
        if args.collect is not None:
            from edgecam_core.collect.collector import Collector
            from edgecam_core.collect.settings import CollectorSettings

            self._collector = Collector(CollectorSettings(directory=str(args.collect), rules=("disagree",)))

    def add(self, one: Disagreement) -> None:
        from edgecam_core.images.comparison import write

        if self._output is not None:
            write(self._output / f"{one.item.stem}-{one.frame.stamp_ns}.png", one, self._names)
        if self._collector is not None:
            self._collect(one)

    def _collect(self, one: Disagreement) -> None:
        from edgecam_core.collect.observation import Observation

        assert self._collector is not None
        answers: list[str] = []
        stored = threading.Event()

        def done(text: str) -> None:
            answers.append(text)
            stored.set()

        self._collector.request(self._camera, done)
        self._collector.examine(Observation(self._camera, one.frame, tuple(one.first), tuple(one.second)))
        if not stored.wait(_STORE_SECONDS) or answers[0].startswith("error: "):
            raise EdgecamError(f"an image could not be collected: {(answers or ['the disk does not respond'])[0]}")

    def close(self) -> None:
        if self._collector is not None:
            self._collector.close()
