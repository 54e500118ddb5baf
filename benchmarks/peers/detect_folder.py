"""Images per second from a folder of JPEGs to boxes with edgecam's detector, without loading and the first five.

Usage: detect_folder FOLDER BACKEND DEVICE PRECISION [--all]. Prints the rate; with --all, prints detections
above a score of 0.01 as one JSON object instead, file name to [label, score, x1, y1, x2, y2], for the accuracy.
"""

from __future__ import annotations

import json
import os
import sys
import time

from edgecam_core.images.inputs import InputImage, each, expand
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings


def main() -> None:
    folder, backend, device, precision, *everything = sys.argv[1:]
    threshold = 0.01 if everything else 0.5
    settings = DetectorSettings(backend=backend, device=device, precision=precision, confidence_threshold=threshold)
    detector = Detector.open(settings, streams=len(os.sched_getaffinity(0)))
    paths = expand([folder])

    def detect(item: InputImage) -> list[list[object]]:
        assert item.frame is not None
        return [[item.label, float(item.score), *map(float, item.box)] for item in detector.detect(item.frame)]

    if everything:
        found = each(paths, detect, detector.streams)
        print(json.dumps({item.name.rsplit("/", 1)[-1]: boxes for item, boxes in found}))
        return
    list(each(paths[:5], detect, detector.streams))
    started = time.perf_counter()
    count = sum(1 for _ in each(paths, detect, detector.streams))
    print(count / (time.perf_counter() - started))


if __name__ == "__main__":
    main()
