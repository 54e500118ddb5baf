"""Explicit precision: FP16 and INT8 of the default model, calibration and its ranges."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from blind_detector import blind_detector
from edgecam_core.errors import ModelError, SettingError
from edgecam_core.inference.batching import dynamic_batch
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.precision import CPU, TENSORRT, convert_precision, decoding_nodes, sensitive_nodes
from edgecam_core.inference.runner import RunnerOptions
from edgecam_core.inference.shipped_int8 import channel_ranges
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.family import open_family
from edgecam_core.models.image_calibration import ImageCalibration
from edgecam_core.models.nms import overlaps
from edgecam_core.models.zoo import fetch
from pytorch_ssd import export
from tiny_models import color_detector, image_folder

PHOTOS = Path(__file__).parents[1] / "assets" / "photos"


def open_with(engines: Path, precision: str, **settings: object) -> Detector:
    given = DetectorSettings(
        backend="onnxruntime", precision=precision, engine_cache=str(engines), calibration=str(PHOTOS)
    )
    return Detector.open(given.changed(**settings))


def calibrated_file(engines: Path) -> Path:
    """The default model in INT8, calibrated with the photographs."""
    made = convert_precision(ModelFile.read(fetch()), open_options(engines), CPU)
    return made.path


def open_options(engines: Path) -> RunnerOptions:
    calibration = ImageCalibration(PHOTOS, open_family(ModelFile.read(fetch())).spec)
    return RunnerOptions(precision="int8", cache=engines, calibration=calibration)


@pytest.mark.parametrize(("precision", "agreement"), [("fp16", 0.97), ("int8", 0.85)])
def test_the_default_model_still_detects_in_each_precision(engines: Path, precision: str, agreement: float) -> None:
    exact, subject = open_with(engines, "fp32"), open_with(engines, precision)
    assert subject.runner.description.endswith(precision)
    for path in sorted(PHOTOS.glob("*.jpg")):
        image = cv2.imread(str(path))
        expected, found = exact.detect(image), subject.detect(image)
        assert len(found) > 0, path.name
        for detection in found:
            same = expected.boxes[expected.class_ids == detection.class_id]
            assert overlaps(np.array(detection.box, np.float32), same).max(initial=0) > agreement, path.name


def test_boxes_are_decoded_in_full_precision(engines: Path) -> None:
    open_with(engines, "fp16")
    (path,) = engines.glob("ssd_mobilenet_v2_coco-fp16-*.onnx")
    proto = onnx.load(path)
    weights = {item.name: item.data_type for item in proto.graph.initializer}
    convolutions = [node for node in proto.graph.node if node.op_type == "Conv"]
    assert {weights[node.input[1]] for node in convolutions} == {onnx.TensorProto.FLOAT16}
    assert len(convolutions) == 72
    assert ModelFile.read(path).precision == "fp16"
    decoding = {node.op_type for node in proto.graph.node if node.name in set(decoding_nodes(proto))}
    assert {"Exp", "Sigmoid"} <= decoding
    assert {output.type.tensor_type.elem_type for output in proto.graph.output} == {onnx.TensorProto.FLOAT}


def test_int8_leaves_both_ends_of_a_network_in_full_precision(engines: Path, tmp_path: Path) -> None:
    path = calibrated_file(engines)
    graph = onnx.load(path).graph
    quantised = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert [node.input[0] in quantised for node in convolutions[:6]] == [False] * 5 + [True]
    assert sum(node.input[1] in quantised for node in convolutions) == 72 - 5 - 12
    little_but_heads = onnx.load(export(tmp_path / "m.onnx"))
    for node in little_but_heads.graph.node:
        node.name = node.output[0]
    assert sensitive_nodes(little_but_heads) == []


def without_ranges(path: Path) -> Path:
    """A small detector without ranges from quantisation-aware training."""
    proto = onnx.load(blind_detector(path))
    facts = {item.key: item.value for item in proto.metadata_props if item.key != "edgecam.ranges"}
    onnx.helper.set_model_props(proto, facts)
    onnx.save(proto, path)
    return path


def test_int8_is_calibrated_once(tmp_path: Path) -> None:
    model = str(without_ranges(tmp_path / "plain.onnx"))
    open_with(tmp_path, "int8", model=model, calibration=str(image_folder(tmp_path / "images")))
    (path,) = tmp_path.glob("plain-int8-cpu-*.onnx")
    made = path.stat().st_mtime_ns
    open_with(tmp_path, "int8", model=model, calibration="")  # a calibrated model needs no images
    assert path.stat().st_mtime_ns == made
    assert ModelFile.read(path).precision == "int8"


def test_the_error_of_int8_without_images_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="needs parameter 'calibration': a folder"):
        open_with(tmp_path, "int8", model=str(without_ranges(tmp_path / "plain.onnx")), calibration="")


def test_the_ranges_in_a_model_replace_calibration_images(engines: Path) -> None:
    exact = open_with(engines, "fp32", calibration="")
    subject = open_with(engines, "int8", calibration="")
    made = convert_precision(ModelFile.read(fetch()), RunnerOptions(precision="int8", cache=engines), CPU)
    graph = onnx.load(made.path).graph
    produced = {output: node.op_type for node in graph.node for output in node.output}
    heads = [node.output[0] for node in graph.node if node.op_type == "Conv" and node.input[1] not in produced]
    assert len(heads) == 6
    assert all("BoxEncoding" in name for name in heads)  # their encoding is rescaled, so no range fits them
    assert "Clip" not in {node.op_type for node in graph.node}  # saturation clips
    for photo in sorted(PHOTOS.glob("*.jpg")):
        image = cv2.imread(str(photo))
        expected, found = exact.detect(image), subject.detect(image)
        same = expected.boxes[expected.class_ids == found.class_ids[0]]
        assert overlaps(found.boxes[0], same).max(initial=0) > 0.8, photo.name


def test_ranges_of_the_user_and_of_the_model_do_not_overwrite_each_other(engines: Path) -> None:
    open_with(engines, "int8")
    calibrated = {path: path.stat().st_mtime_ns for path in engines.glob("ssd_mobilenet_v2_coco-int8-cpu-*.onnx")}
    open_with(engines, "int8", calibration="")
    assert all(path.stat().st_mtime_ns == made for path, made in calibrated.items())
    assert len(list(engines.glob("ssd_mobilenet_v2_coco-int8-cpu-*.onnx"))) == 2


def test_weights_keep_their_trained_quantisation_grid() -> None:
    step = 0.02
    fits, extreme, empty = np.array([-127, 3, 60]), np.array([-150, 3, 60]), np.zeros(3)
    weight = np.stack([fits, extreme, empty])[:, :, None, None] * step
    channels = channel_ranges(weight, step)
    tops = [float(channel["rmax"]) / (127 * step) for channel in channels]
    assert tops[0] == pytest.approx(1) == tops[2]
    assert 1 <= tops[1] <= 150 / 127 + 1e-6
    assert all(channel["rmin"] == -channel["rmax"] for channel in channels)
    assert [channel.get("axis") for channel in channels] == [0, None, None]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"'calibration' is .* must be a folder with images"):
        open_with(tmp_path, "int8", calibration=str(tmp_path))
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(SettingError, match=r"a\.jpg cannot be read as an image.*; remove that file"):
        open_with(tmp_path / "engines", "int8", calibration=str(tmp_path))


def test_a_quantised_file_cannot_become_fp16(engines: Path, tmp_path: Path) -> None:
    path = calibrated_file(engines)
    with pytest.raises(ModelError, match="is int8 already; use the fp32 model"):
        open_with(tmp_path, "fp16", model=str(path))


def test_int8_for_tensorrt_has_its_other_layers_in_fp16_and_still_detects(engines: Path) -> None:
    made = convert_precision(ModelFile.read(fetch()), RunnerOptions(precision="int8", cache=engines), TENSORRT)
    graph = onnx.load(made.path).graph
    types = {item.name: item.data_type for item in graph.initializer}
    quantised = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    plain = [node for node in convolutions if not set(node.input[:2]) <= quantised]
    assert len(plain) == 17
    assert {types[node.input[1]] for node in plain} == {onnx.TensorProto.FLOAT16}
    scales = {types[node.input[1]] for node in graph.node if node.op_type == "QuantizeLinear"}
    assert scales == {onnx.TensorProto.FLOAT16}
    exact, subject = open_with(engines, "fp32"), open_with(engines, "auto", model=str(made.path))
    for path in sorted(PHOTOS.glob("*.jpg")):
        image = cv2.imread(str(path))
        expected, found = exact.detect(image), subject.detect(image)
        best = found.boxes[:1]
        same = expected.boxes[expected.class_ids == found.class_ids[0]]
        # Symmetric signed activations are coarser than the unsigned ones used on CPUs.
        assert overlaps(best[0], same).max(initial=0) > 0.8, path.name


def test_models_of_the_same_name_do_not_share_files(tmp_path: Path) -> None:
    models = []
    for folder in ("front", "rear"):
        (tmp_path / folder).mkdir()
        path = color_detector(tmp_path / folder / "model.onnx", metadata={"camera": folder})
        models.append(ModelFile.read(path))
    options = RunnerOptions(precision="fp16", cache=tmp_path / "engines")
    for derive in (lambda model: convert_precision(model, options, CPU), lambda model: dynamic_batch(model, options)):
        front, rear = (derive(model) for model in models)
        assert front.path != rear.path
        assert ModelFile.read(front.path).fact("camera") == "front"
        assert ModelFile.read(rear.path).fact("camera") == "rear"


def test_the_model_file_is_not_changed(engines: Path) -> None:
    before = fetch().read_bytes()
    open_with(engines, "fp16")
    assert fetch().read_bytes() == before


def test_calibration_reports_progress_and_can_be_cancelled(tmp_path: Path) -> None:
    class LoadAbandoned(Exception):
        pass

    reports: list[str] = []

    def progress(text: str) -> None:
        reports.append(text)
        if "image 2 of" in text:
            raise LoadAbandoned

    model = ModelFile.read(fetch())
    calibration = ImageCalibration(PHOTOS, open_family(model).spec)
    options = RunnerOptions(precision="int8", cache=tmp_path, calibration=calibration, progress=progress)
    with pytest.raises(LoadAbandoned):
        convert_precision(model, options, CPU)
    assert reports[-1] == f"calibrating int8: image 2 of {len(calibration)}"
