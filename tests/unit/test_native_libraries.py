"""Libraries that must live together in one process."""

import subprocess
import sys

# Debian's GStreamer brings libunwind, whose unwinder used to take the place of libgcc's in libraries loaded later:
# the first C++ exception of ONNX Runtime (any model it refuses) then killed the process.
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
