"""Pictures a second from a folder of JPEGs to boxes with edgecam's detector.

Usage: detect_folder FOLDER BACKEND PRECISION CALIBRATION. Prints the rate; model loading and the first are left out.
"""

from __future__ import annotations

import sys
import time

from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.pictures import expand, shots


def main() -> None:
    folder, backend, precision, calibration = sys.argv[1:5]
    detector = Detector.open(DetectorSettings(backend=backend, precision=precision, calibration=calibration))
    paths = expand([folder])
    for shot in shots(paths[:5]):
        assert shot.frame is not None
        detector.detect(shot.frame)
    started = time.perf_counter()
    count = 0
    for shot in shots(paths):
        assert shot.frame is not None
        detector.detect(shot.frame)
        count += 1
    print(count / (time.perf_counter() - started))


if __name__ == "__main__":
    main()
