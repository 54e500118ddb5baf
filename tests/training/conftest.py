"""The synthetic data set shared by the training tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from shapes import write_shapes

if TYPE_CHECKING:
    from edgecam_training.models.base import SsdModel


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Training takes long on a busy machine with two cores."""
    for item in items:
        item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("shapes"), {"train": 8, "val": 4})


@pytest.fixture(scope="session")
def images(shapes: Path) -> list[np.ndarray]:
    from edgecam_training.data.checks import read_image
    from edgecam_training.data.loading import load

    found = [read_image(sample.path) for sample in load(shapes).samples]
    return [image for image in found if image is not None]


@pytest.fixture(scope="session")
def model() -> SsdModel:
    """SSD-MobileNetV1 with random weights; tests do not change it."""
    import torch
    from edgecam_training.models.registry import create
    from random_ssd import CLASSES, with_spread_scores

    torch.manual_seed(0)
    return with_spread_scores(create("ssd_mobilenet_v1", CLASSES))


@pytest.fixture(scope="session")
def exported(model: SsdModel, images: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``model`` as an ONNX file: its export takes seconds."""
    from edgecam_training.export.onnx_export import ExportOptions, export
    from random_ssd import CLASSES

    path = tmp_path_factory.mktemp("onnx") / "v1.onnx"
    export(model, CLASSES, path, ExportOptions(), images[:2])
    return path
