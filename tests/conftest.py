"""Settings of all tests."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from edgecam_core.cache import cache_dir
from owners import owner

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ROOT / "src"

# Before NumPy and PyTorch are loaded: their threads wait for each other where tests share the cores, and OpenMP waits
# in a busy loop, which took five sixths of a training test's CPU time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A shell ignores SIGINT in background jobs, nohup ignores SIGHUP; all processes started by the tests would inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

if importlib.util.find_spec("hypothesis"):  # not in every environment
    from hypothesis import HealthCheck, settings

    # A busy machine is not an error: by default an example must end within 0.2 s.
    settings.register_profile("edgecam", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("edgecam")


def use_own_cache() -> None:
    """Tests keep their engines and measured choices in log/cache; what is downloaded stays in the user's cache.

    A choice that a test measures on a busy machine would be the user's for good.
    """
    own = ROOT / "log" / "cache"
    own.mkdir(parents=True, exist_ok=True)
    for kind in ("models", "materials", "test"):
        downloaded = cache_dir(kind)
        downloaded.mkdir(parents=True, exist_ok=True)
        if (own / kind).resolve() != downloaded.resolve():
            (own / kind).unlink(missing_ok=True)
            with contextlib.suppress(FileExistsError):  # another test process was faster
                (own / kind).symlink_to(downloaded.resolve())
    os.environ["EDGECAM_CACHE"] = str(own)


if "PYTEST_XDIST_WORKER" not in os.environ:  # else inherited
    use_own_cache()


_exit = subprocess.Popen.__exit__


def _kill_and_exit(process: subprocess.Popen[Any], error_type: type[BaseException] | None, *rest: Any) -> None:
    if error_type is not None:
        process.kill()
    _exit(process, error_type, *rest)


# A test that fails while its program runs would wait for the end of that program for ever.
subprocess.Popen.__exit__ = _kill_and_exit  # type: ignore[method-assign]


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
