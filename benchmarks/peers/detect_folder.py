"""Pictures a second from a folder of JPEGs to boxes with edgecam's detector; loading and the first five are left out.

Usage: detect_folder FOLDER CALIBRATION BACKEND PRECISION [--all]. Prints the rate; with --all instead what is found
above a score of 0.01 as one JSON object, file name to [label, score, x1, y1, x2, y2], for the accuracy.
"""

from __future__ import annotations

import json
import sys
import time

from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.pictures import expand, shots
from edgecam_core.types import Frame


def main() -> None:
    folder, calibration, backend, precision, *everything = sys.argv[1:]
    threshold = 0.01 if everything else 0.5
    detector = Detector.open(
        DetectorSettings(
            backend=backend, precision=precision, calibration=calibration, confidence_threshold=threshold
        )
    )
    paths = expand([folder])

    def detect(frame: Frame | None) -> list[list[object]]:
        assert frame is not None
        return [[item.label, float(item.score), *map(float, item.box)] for item in detector.detect(frame)]

    if everything:
        print(json.dumps({shot.name.rsplit("/", 1)[-1]: detect(shot.frame) for shot in shots(paths)}))
        return
    for shot in shots(paths[:5]):
        detect(shot.frame)
    started = time.perf_counter()
    count = sum(1 for shot in shots(paths) if detect(shot.frame) is not None)
    print(count / (time.perf_counter() - started))


if __name__ == "__main__":
    main()
