from __future__ import annotations

import os
from pathlib import Path

import pytest
from underlay_only import ignored

collect_ignore_glob = ignored()


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for quantised models, shared by all tests and test processes: calibration takes seconds."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "engines"
