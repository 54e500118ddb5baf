"""Settings of all tests."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import types
from pathlib import Path

import pytest
from owners import owner

PACKAGES = Path(__file__).resolve().parents[1] / "src"

# Before NumPy and PyTorch are loaded: their threads wait for each other where tests share the cores, and OpenMP waits
# in a busy loop, which took five sixths of a training test's CPU time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A shell ignores SIGINT in background jobs, and every process started by the tests would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """The module of GLib's warning class does not exist; the controller of pytest-xdist ends if it cannot import it.

    That controller never loads GLib itself.
    """
    if config.getoption("numprocesses", None):
        module = types.ModuleType("gobject")
        module.Warning = type("Warning", (UserWarning,), {"__module__": "gobject"})  # type: ignore[attr-defined]
        sys.modules.setdefault("gobject", module)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`colcon test` runs pytest in the folder of a package, only for the test files of that package."""
    if config.rootpath.parent != PACKAGES:
        return None
    if not collection_path.name.startswith("test_"):
        return None
    needs_torch = collection_path.parent.name == "training"
    return True if owner(collection_path) != config.rootpath.name or (needs_torch and not has_torch()) else None


def pytest_report_header(config: pytest.Config) -> str | None:
    if config.rootpath.name == "edgecam_training" and not has_torch():
        return "tests/training is left out: PyTorch is not installed (make training-tests)"
    return None


def has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None
