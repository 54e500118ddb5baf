"""The made data set that the training tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from shapes import write_shapes


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Training on a busy two-core machine takes its time."""
    for item in items:
        item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("shapes"), {"train": 8, "val": 4})
