"""Our calls to each version of TensorRT, checked against its real Python bindings; no inference runs here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from trt_bindings import RELEASES, BindingsUnavailable, bindings

CALLS = Path(__file__).parents[1] / "support" / "trt_calls.py"


@pytest.mark.parametrize("version", RELEASES)
def test_calls_to_tensorrt_match_its_bindings(version: str, tmp_path: Path) -> None:
    try:
        real = bindings(version)
    except BindingsUnavailable as reason:
        pytest.skip(f"the bindings of {version} are not available: {reason}")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", str(CALLS)]
    reported = subprocess.run(
        [*command, f"--basetemp={tmp_path / 'reported'}"],
        env=real.environment(), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert reported.returncode == 0, reported.stdout + reported.stderr
