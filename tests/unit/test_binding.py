"""GStreamer through PyGObject alone, without gst-python, which Debian packages only for the system's Python."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Frames through appsrc and appsink, without the overrides of gst-python, which only the system's Python has.
PROGRAM = """
import sys
if sys.argv[1] == "PyGObject alone":
    sys.modules["gi.overrides.Gst"] = None
import numpy as np
from edgecam_core.media.binding import load
from edgecam_core.media.samples import MappedSample, buffer_of

gst = load()
sent = np.random.default_rng(1).integers(0, 256, (48, 64), np.uint8)
buffer = buffer_of(sent)
buffer.pts = 40_000_000
caps = gst.Caps.from_string("video/x-raw,format=GRAY8,width=64,height=48,framerate=25/1")
with MappedSample(gst.Sample.new(buffer, caps, None, None)) as sample:
    assert (sample.width, sample.height, sample.format, sample.pts_ns) == (64, 48, "GRAY8", 40_000_000)
    assert np.array_equal(sample.data.reshape(48, 64), sent)
print("equal")
"""


@pytest.mark.parametrize("binding", ["as installed", "PyGObject alone"])
def test_a_frame_goes_into_a_buffer_and_comes_back_equal(binding: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, binding], capture_output=True, text=True, timeout=120)
    assert done.stdout == "equal\n", done.stderr
