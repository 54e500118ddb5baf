"""Models with weights in separate files: hashed and loaded as a whole; nothing outside the folder is read."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from edgecam_core.errors import ModelError
from edgecam_core.inference import RunnerOptions, open_runner
from edgecam_core.inference.batching import dynamic_batch
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.precision import CPU, convert_precision
from onnx import TensorProto, helper, numpy_helper
from tiny_models import save

FEED = np.ones((1, 3, 4, 4), np.float32)


def convolution(path: Path, value: float) -> ModelFile:
    """A 1x1 convolution that multiplies by ``value``, its weight in ``<name>.data``."""
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 4, 4])
    output = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3, 4, 4])
    weight = numpy_helper.from_array(value * np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1), "w")
    node = helper.make_node("Conv", ["images", "w"], ["scores"])
    save(helper.make_graph([node], "g", [image], [output], [weight]), path, {})
    proto = onnx.load(path)
    path.with_name(f"{path.name}.data").unlink(missing_ok=True)  # onnx would append to it
    onnx.save_model(
        proto, path, save_as_external_data=True, location=f"{path.name}.data", size_threshold=0, convert_attribute=True
    )
    return ModelFile.read(path)


def first(model: ModelFile) -> float:
    runner = open_runner(model, "onnxruntime", RunnerOptions(threads=1))
    feed = np.ones((1, *FEED.shape[1:]), np.float32)
    return float(runner.infer({"images": feed})["scores"].ravel()[0])


def test_models_with_other_weights_are_different_models(tmp_path: Path) -> None:
    model = convolution(tmp_path / "m.onnx", 2)
    assert [path.name for path in model.data_files] == ["m.onnx.data"]
    hashes, own = [model.sha256], model.path.read_bytes()
    for value in (2, 3):
        hashes.append(convolution(tmp_path / "m.onnx", value).sha256)
        assert model.path.read_bytes() == own
    assert hashes[0] == hashes[1] != hashes[2]


def test_derived_files_follow_the_weights(tmp_path: Path) -> None:
    options = RunnerOptions(precision="fp16", cache=tmp_path / "cache")
    for value in (2, 3):
        model = convolution(tmp_path / "m.onnx", value)
        assert first(model) == value
        assert first(convert_precision(model, options, CPU)) == value
        assert first(dynamic_batch(model, options)) == value


def rewritten(model: ModelFile, **entries: str) -> Path:
    """The model with other metadata about the location of its weight."""
    proto = onnx.load(model.path, load_external_data=False)
    for item in proto.graph.initializer[0].external_data:
        item.value = entries.get(item.key, item.value)
    onnx.save(proto, model.path)
    return model.path


@pytest.mark.parametrize("location", ["../m.onnx.data", "/etc/hostname", "a/../../m.onnx.data", "", "..\\m.onnx.data"])
def test_weights_outside_the_folder_are_not_read(tmp_path: Path, location: str) -> None:
    (tmp_path / "in").mkdir()
    model = convolution(tmp_path / "in" / "m.onnx", 2)
    shutil.copy(tmp_path / "in" / "m.onnx.data", tmp_path)
    with pytest.raises(ModelError, match="outside its own folder"):
        ModelFile.read(rewritten(model, location=location))


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    model = convolution(tmp_path / "in" / "m.onnx", 2)
    data = shutil.move(tmp_path / "in" / "m.onnx.data", tmp_path / "secret")
    (tmp_path / "in" / "m.onnx.data").symlink_to(data)
    with pytest.raises(ModelError, match="outside its own folder"):
        ModelFile.read(model.path)


def test_a_missing_or_short_data_file_is_named(tmp_path: Path) -> None:
    model = convolution(tmp_path / "m.onnx", 2)
    data = tmp_path / "m.onnx.data"
    data.write_bytes(data.read_bytes()[:-5])
    with pytest.raises(ModelError, match=r"needs 36 bytes of weights in .*m\.onnx\.data, which has 31"):
        ModelFile.read(model.path)
    data.unlink()
    with pytest.raises(ModelError, match=r"m\.onnx\.data, which is missing"):
        ModelFile.read(model.path)
