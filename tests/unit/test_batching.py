from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from edgecam_core.errors import ModelError
from edgecam_core.inference.batching import dynamic_batch
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.runner import RunnerOptions
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from onnx import TensorProto, helper
from tiny_models import color_detector, fixed_outputs, save

PHOTOS = sorted((Path(__file__).parents[1] / "assets" / "photos").glob("*.jpg"))


def test_the_default_model_finds_the_same_in_batches(tmp_path: Path) -> None:
    settings = DetectorSettings(backend="onnxruntime", engine_cache=str(tmp_path))
    images = [cv2.imread(str(path)) for path in PHOTOS]
    single, batched = Detector.open(settings), Detector.open(settings.changed(max_batch=5))
    assert (single.max_batch, batched.max_batch) == (1, 5)
    for one, other in zip(single.detect_batch(images), batched.detect_batch(images), strict=True):
        np.testing.assert_array_equal(one.class_ids, other.class_ids)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
        np.testing.assert_allclose(one.boxes, other.boxes, atol=0.1)


def test_a_free_batch_size_stays_free(tmp_path: Path) -> None:
    model = ModelFile.read(color_detector(tmp_path / "m.onnx", batch=None))
    assert dynamic_batch(model, RunnerOptions(cache=tmp_path)) is model


def test_metadata_and_original_are_kept(tmp_path: Path) -> None:
    model = ModelFile.read(color_detector(tmp_path / "m.onnx"))
    before = model.path.read_bytes()
    free = dynamic_batch(model, RunnerOptions(cache=tmp_path))
    assert free.fact("family") == "ssd"
    assert free.inputs["input_0"] == (None, 3, 8, 8)
    assert model.path.read_bytes() == before


def test_a_forced_update_rewrites_it(tmp_path: Path) -> None:
    settings = DetectorSettings(
        model=str(color_detector(tmp_path / "m.onnx")), backend="onnxruntime", max_batch=2, engine_cache=str(tmp_path)
    )
    Detector.open(settings)
    (path,) = tmp_path.glob("m-batch-*.onnx")
    made = path.stat().st_ino  # a rewritten file is another file
    kept = path.open("rb")  # keeps its inode number in use
    Detector.open(settings)
    assert path.stat().st_ino == made
    Detector.open(settings.changed(force_engine_update=True))
    assert path.stat().st_ino != made
    kept.close()


def test_a_model_that_cannot_be_batched_is_reported(tmp_path: Path) -> None:
    model = ModelFile.read(fixed_outputs(tmp_path / "m.onnx", {"scores": np.zeros((1, 5, 3), np.float32)}))
    with pytest.raises(ModelError, match=r"cannot be made dynamic: .*set max_batch to 1"):
        dynamic_batch(model, RunnerOptions(cache=tmp_path))


def test_images_that_influence_each_other_are_noticed(tmp_path: Path) -> None:
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 8, 8])
    output = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3, 8, 8])
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["images", "mean"], ["scores"]),
    ]
    path = save(helper.make_graph(nodes, "g", [image], [output]), tmp_path / "m.onnx", {})
    with pytest.raises(ModelError, match="influence each other"):
        dynamic_batch(ModelFile.read(path), RunnerOptions(cache=tmp_path))
