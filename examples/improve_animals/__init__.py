"""``make demo-improve``: from frames of a running pipeline to a better model, fully automatic."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The tests' browser driver is used here; the modules of that folder import each other by their bare names.
sys.path.insert(0, str(ROOT / "tests" / "support"))
