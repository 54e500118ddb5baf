"""The synthetic data set shared by the training tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from shapes import write_shapes


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Training takes long on a busy machine with two cores."""
    for item in items:
        item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("shapes"), {"train": 8, "val": 4})
