"""The training rows of an image do not depend on whether the network's features were cached."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models import zoo
from edgecam_core.types import Frame
from edgecam_training.improve import learn
from edgecam_training.improve.field import LabelledImage
from edgecam_training.improve.heads import ClassHeads
from edgecam_training.improve.learn import Learner, TrainingRows
from edgecam_training.improve.network import FrozenNetwork, Output

PHOTOS = Path(__file__).resolve().parents[1] / "assets" / "photos"


class CountingNetwork(FrozenNetwork):
    runs = 0

    def __call__(self, frame: Frame) -> Output:
        self.runs += 1
        return super().__call__(frame)


@pytest.mark.parametrize(("kept", "runs"), [(2, 4), (0, 8)])
def test_the_network_runs_once_for_an_image_whose_features_are_kept(kept: int, runs: int) -> None:
    try:
        model = ModelFile.read(zoo.fetch())
    except zoo.FetchError as error:
        pytest.skip(f"needs the default model: {error}")
    heads = ClassHeads(model, model.fact("labels"))
    images = [
        LabelledImage(PHOTOS / f"{name}.jpg", np.array([[50, 50, 400, 400]], np.float32), ("thing",), "front", 0)
        for name in ("dog", "cat")
    ]

    def rows(learner: Learner) -> list[TrainingRows]:
        found = [learner.extract(image, ["thing"]) for image in images]
        heads = learner.learn(found)
        return [learner.extract(image, ["thing"], heads) for image in images]

    network = CountingNetwork(model, heads)
    with patch.object(learn, "KEPT", kept):
        mined = rows(Learner(heads, network, ["thing"], lambda _text: None))
    assert network.runs == runs
    reference = rows(Learner(heads, FrozenNetwork(model, heads), ["thing"], lambda _text: None))
    for one, other in zip(mined, reference, strict=True):
        for level, expected in zip(one.levels, other.levels, strict=True):
            for got, wanted in zip(level, expected, strict=True):
                assert np.array_equal(got.features, wanted.features)
                assert np.array_equal(got.anchors, wanted.anchors)
                assert np.array_equal(got.targets, wanted.targets)
