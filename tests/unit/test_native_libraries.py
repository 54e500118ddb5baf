"""Libraries that must work together in one process."""

import subprocess
import sys

# Debian's GStreamer loads libunwind, whose unwinder replaced libgcc's in libraries loaded later, so that the first
# C++ exception of ONNX Runtime (for any model that it refuses) killed the process.
GSTREAMER_THEN_ONNXRUNTIME = """
from edgecam_core.media import gst
gst.load()
import onnxruntime
try:
    onnxruntime.InferenceSession(b"not a model")
except Exception as error:
    print("refused:", type(error).__name__)
"""


def test_onnxruntime_can_raise_after_gstreamer_was_loaded() -> None:
    command = [sys.executable, "-c", GSTREAMER_THEN_ONNXRUNTIME]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr}"
    assert done.stdout.startswith("refused:")
