from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource, sys
import numpy as np
from edgecam_core.memory import keep_pages

if sys.argv[1] == "keep":
    keep_pages()
for turn in range(12):
    if turn == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    frames = [np.full((480, 640, 3), turn, np.uint8) for _ in range(5)]
    del frames
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    reported = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], check=True, capture_output=True, text=True, timeout=120
    )
    return int(reported.stdout)


def test_memory_pages_of_frames_are_reused() -> None:
    assert faults("keep") < 50 < 500 < faults("plain")
