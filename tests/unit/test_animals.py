"""The model ``animals``: the backbone of COCO and its own class heads, on photographs not used for training."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from edgecam_core.errors import ModelError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models import animals, zoo
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings


def test_reports_its_seven_classes() -> None:
    path = zoo.fetch("animals")
    model = ModelFile.read(path)
    assert model.outputs["scores"] == (1, 1917, 8)
    assert tuple(model.fact("labels")) == animals.LABELS
    detector = Detector.open(DetectorSettings(model="animals"))
    assert [label for _, label in detector.classes()] == list(animals.LABELS[1:])
    outputs = detector.runner.infer({"input_0": np.zeros((1, 3, 300, 300), np.float32)})
    np.testing.assert_allclose(outputs["scores"].sum(axis=2), 1.0, atol=1e-5)  # a softmax, unlike the COCO model


@pytest.mark.parametrize(("name", "label"), [("cow", "Cattle"), ("sheep", "Sheep")])
def test_finds_the_animal(name: str, label: str) -> None:
    image = cv2.imread(str(Path(__file__).parents[1] / "assets" / "photos" / f"{name}.jpg"))
    found = list(Detector.open(DetectorSettings(model="animals", confidence_threshold=0.5)).detect(image))
    assert found[0].label == label


def test_damaged_heads_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "heads.npz"
    damaged.write_bytes(animals.HEADS.read_bytes()[:-1])
    monkeypatch.setattr(animals, "HEADS", damaged)
    with pytest.raises(ModelError, match="is damaged"):
        animals.convert(b"", {})
