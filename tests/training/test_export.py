"""Exported files agree with PyTorch; INT8 is accepted or not written; TensorRT-RTX builds them."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from edgecam_core.errors import SettingError
from edgecam_core.inference.artifacts import Artifact
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.runner import RunnerOptions
from edgecam_core.inference.tensorrt_api import import_tensorrt
from edgecam_core.inference.tensorrt_builder import Recipe, build_engine
from edgecam_core.inference.tensorrt_runner import ensure_engine
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.family import open_family
from edgecam_core.models.image_calibration import ImageCalibration
from edgecam_training.cli.export import run as run_export
from edgecam_training.data.dataset import Dataset, Sample
from edgecam_training.errors import ExportError
from edgecam_training.evaluate.models import open_detector
from edgecam_training.export import onnx_export
from edgecam_training.export.acceptance import accept_int8, check_images
from edgecam_training.export.onnx_export import ExportOptions, export, inputs
from edgecam_training.export.quantize import RECIPES, Ranges, best_ranges, calibrate, output_error, quantize
from edgecam_training.export.suppress import greedy, suppress
from edgecam_training.models.base import SsdModel
from edgecam_training.train import checkpoint
from onnx import helper, numpy_helper
from random_ssd import CLASSES, with_spread_scores
from small_ssd import CONVOLUTIONS, SmallSsd


@pytest.fixture(scope="module")
def small_ssd() -> SsdModel:
    torch.manual_seed(0)
    return with_spread_scores(SmallSsd(len(CLASSES) + 1))


def _layers(path: Path) -> dict[str, int]:
    """Convolutions by precision in an engine built by TensorRT-RTX, which needs no GPU to build."""
    pytest.importorskip("tensorrt_rtx_libs")
    plan, facts = build_engine(import_tensorrt(), ModelFile.read(path), Recipe(), lambda _: None)
    assert len(plan) > 1e5
    layers: dict[str, int] = facts["layers"]
    return layers


# INT8 leaves the first five of 47 convolutions and the twelve heads in FP32.
@pytest.mark.parametrize(
    ("precision", "layers"), [("fp32", {"fp32": 47}), ("fp16", {"fp16": 47}), ("int8", {"int8": 30, "fp16": 17})]
)
def test_an_engine_is_built_in_each_precision(
    exported: Path, shapes: Path, tmp_path: Path, precision: str, layers: dict[str, int]
) -> None:
    pytest.importorskip("tensorrt_rtx_libs")
    model = ModelFile.read(exported)
    calibration = ImageCalibration(shapes, open_family(model).spec)
    options = RunnerOptions(precision=precision, cache=tmp_path, calibration=calibration)
    path, built = ensure_engine(model, options, import_tensorrt(), None)
    assert built == precision
    assert Artifact(path).facts()["layers"] == layers
    assert path.stat().st_size > 1e6


def test_jetson_inference_contract(exported: Path) -> None:
    proto = onnx.load(str(exported))
    assert [item.name for item in proto.graph.input] == ["input_0"]
    assert [item.name for item in proto.graph.output] == ["scores", "boxes"]
    del proto.graph.initializer[:]  # among the bytes of random weights, any three letters are found
    text = proto.SerializeToString()
    assert str(Path.home()).encode() not in text
    assert b".py" not in text  # no file names of the exporting machine
    detector = Detector.open(DetectorSettings(model=str(exported)))
    assert detector.labels == ("BACKGROUND", *CLASSES)
    assert detector.family.spec.mean == (127.0, 127.0, 127.0)


def test_same_boxes_from_checkpoint_and_onnx(
    model: SsdModel, exported: Path, images: list[np.ndarray], tmp_path: Path
) -> None:
    checkpoint.save(tmp_path / "v1.pt", {"model": model.name, "classes": list(CLASSES), "state": model.state_dict()})
    mine, theirs = (open_detector(str(path), least_score=0.2) for path in (tmp_path / "v1.pt", exported))
    for image in images[:2]:
        a, b = mine.detect(image), theirs.detect(image)
        assert len(a) == len(b) > 0
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-4)
        np.testing.assert_allclose(a.boxes[0], b.boxes[0], atol=0.1)


@pytest.mark.parametrize(
    "options",
    [ExportOptions(batch=0), ExportOptions("fp16"), ExportOptions(uint8=True), ExportOptions(raw=True)],
    ids=str,
)
def test_output_formats_agree_with_pytorch(
    small_ssd: SsdModel, images: list[np.ndarray], tmp_path: Path, options: ExportOptions
) -> None:
    parity = export(small_ssd, CLASSES, tmp_path / "x.onnx", options, images[:1])
    assert parity.scores < 2e-2
    assert parity.images == 1
    if options.batch:
        assert _layers(tmp_path / "x.onnx") == {options.precision: CONVOLUTIONS}


def test_finished_detections_are_those_of_the_detector(
    small_ssd: SsdModel, images: list[np.ndarray], tmp_path: Path
) -> None:
    path, without = tmp_path / "nms.onnx", tmp_path / "plain.onnx"
    export(small_ssd, CLASSES, path, ExportOptions(nms=0.45), images[:2])
    export(small_ssd, CLASSES, without, ExportOptions(), images[:1])
    proto = onnx.load(str(path))
    assert [item.name for item in proto.graph.output] == ["num_dets", "det_boxes", "det_scores", "det_classes"]
    finished, plain = (open_detector(str(file), "onnxruntime", 0.2, 0.45) for file in (path, without))
    assert finished.family.name == "final"
    for image in images[:2]:
        a, b = finished.detect(image), plain.detect(image)
        assert len(a) == len(b) > 1
        assert [item.label for item in a] == [item.label for item in b]
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-5)
        np.testing.assert_allclose(a.boxes, b.boxes, atol=0.05)
    assert _layers(path) == {"fp32": CONVOLUTIONS + 12}  # the suppression's products of matrices


def test_chains_of_overlaps_are_resolved_as_by_the_greedy_loop() -> None:
    steps = torch.arange(10) * 0.04  # each box overlaps its neighbours only
    row = torch.stack([steps, torch.zeros(10), steps + 0.1, torch.full((10,), 0.1)], dim=1)
    boxes = torch.cat([row, torch.full((190, 4), 0.9)])[None]
    scores = torch.zeros(1, 200, 3)
    scores[0, :10, 1] = torch.linspace(0.9, 0.5, 10)
    scores[0, 0, 2] = 0.95  # another class is never suppressed
    count, found, best, labels = suppress(scores, boxes, 0.4, 300)
    assert count.tolist() == [[6]]
    torch.testing.assert_close(best[0, :6], torch.cat([torch.tensor([0.95]), scores[0, :10:2, 1]]))
    expected = greedy(scores[0].numpy(), boxes[0].numpy(), 0.4, 300)
    np.testing.assert_allclose(found[0, :6].numpy(), expected[0], atol=1e-4)
    assert labels[0, :6].tolist() == expected[2].tolist() == [1, 0, 0, 0, 0, 0]


def test_a_file_that_differs_is_refused(
    model: SsdModel, exported: Path, images: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch's exporter returns the network with other weights."""
    other = copy.deepcopy(model)
    with torch.no_grad():
        for head in other.regression_headers:
            head.bias.add_(0.1)
    monkeypatch.setattr(onnx_export, "_exported", lambda *_: onnx.load(str(exported)))
    with pytest.raises(ExportError, match=r"differs from PyTorch by .* and 0\.0\d+ in boxes; 0\.0001 and"):
        export(other, CLASSES, tmp_path / "x.onnx", ExportOptions(), images[:1])
    assert not (tmp_path / "x.onnx").exists()
    export(model, CLASSES, tmp_path / "x.onnx", ExportOptions(), images[:1])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifteen convolutions of 4 channels on 8x8 pixels: calibration and sensitivity do not depend on the network."""
    chance, width = np.random.default_rng(0), 4
    weights = [chance.normal(0, 0.4, (width, width if n else 3, 3, 3)).astype(np.float32) for n in range(15)]
    nodes, before = [], "input_0"
    for n in range(15):
        after = "boxes" if n == 14 else f"relu{n}"
        nodes.append(helper.make_node("Conv", [before, f"w{n}"], [f"conv{n}"], f"conv{n}", pads=[1] * 4))
        nodes.append(helper.make_node("Relu" if n < 14 else "Tanh", [f"conv{n}"], [after]))
        before = after
    values = (("input_0", [1, 3, 8, 8]), ("boxes", [1, width, 8, 8]))
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in values]
    constants = [numpy_helper.from_array(value, f"w{n}") for n, value in enumerate(weights)]
    graph = helper.make_graph(nodes, "small", ends[:1], ends[1:], constants)
    path = tmp_path_factory.mktemp("small") / "small.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def noise(count: int) -> list[np.ndarray]:
    """Inputs of the small network."""
    return list(np.random.default_rng(1).uniform(-1, 1, (count, 1, 3, 8, 8)).astype(np.float32))


@pytest.fixture(scope="module")
def ranges(small: Path) -> Ranges:
    return calibrate(small, noise(4), "tensorrt")


def test_int8_for_tensorrt_builds_and_for_cpu_is_unsigned(
    model: SsdModel, exported: Path, small: Path, images: list[np.ndarray], tmp_path: Path
) -> None:
    ranges = calibrate(exported, inputs(model, images[:4], ExportOptions()), "tensorrt")
    path = tmp_path / "trt.onnx"
    path.write_bytes(quantize(ranges))
    assert path.stat().st_size < 0.4 * exported.stat().st_size
    assert _layers(path) == {"int8": 47}
    cpu = calibrate(small, noise(2), "cpu")
    proto = onnx.load_from_string(quantize(cpu))
    types = {item.data_type for item in proto.graph.initializer if item.name.endswith("zero_point")}
    assert onnx.TensorProto.UINT8 in types
    with pytest.raises(SettingError, match="must be one of tensorrt, cpu"):
        calibrate(small, [], "dsp")


def test_the_recipe_with_the_smaller_error_is_chosen(small: Path) -> None:
    feeds = noise(10)
    feeds[0] = feeds[0] * 30  # one image of extremes; the last is the probe
    reported: list[str] = []
    found = best_ranges(small, feeds, "tensorrt", reported.append)
    probe = feeds[9:10]
    errors = {recipe: output_error(calibrate(small, feeds[:9], "tensorrt", recipe), probe) for recipe in RECIPES}
    assert output_error(found, probe) == pytest.approx(min(errors.values()))
    assert errors["average"] < errors["minmax"]
    assert reported[0].startswith("error of the outputs: minmax ")
    with pytest.raises(SettingError, match="must be one of minmax, average"):
        calibrate(small, feeds, "tensorrt", "entropy")


def test_layers_stay_in_float_until_the_accuracy_is_accepted(ranges: Ranges, tmp_path: Path) -> None:
    """The score replaces an evaluation: it rises with the number of layers in float."""

    def score(path: Path) -> float:
        facts = {item.key: item.value for item in onnx.load(str(path)).metadata_props}
        return 0.70 + 0.01 * int(facts["edgecam.float_layers"])

    reported: list[str] = []
    probe = noise(1)
    passed = accept_int8(ranges, tmp_path / "x.onnx", 0.75, score, 1.0, probe, reported.append)
    assert passed.drop <= 1.0
    assert 0 < len(passed.kept) < len(ranges.convolutions) // 2
    assert (tmp_path / "x.onnx").is_file()
    with pytest.raises(ExportError, match="even with half of the layers"):
        accept_int8(ranges, tmp_path / "y.onnx", 2.0, score, 1.0, probe, reported.append)
    assert list(tmp_path.iterdir()) == [tmp_path / "x.onnx"]


def test_too_few_calibration_images_are_refused(tmp_path: Path, shapes: Path) -> None:
    import argparse

    from edgecam_training.cli.export import add_arguments

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = ["m.pt", "--output", str(tmp_path / "x.onnx"), "--precision", "int8", "--data", str(shapes)]
    with pytest.raises(SettingError, match="must be at least 300"):
        run_export(parser.parse_args([*words, "--calibration-images", "20"]))


@pytest.mark.parametrize("reference", [0.0, 0.04, float("nan")])
def test_int8_is_refused_if_the_float_model_is_too_weak_to_measure_the_loss(
    ranges: Ranges, tmp_path: Path, reference: float
) -> None:
    with pytest.raises(ExportError, match=r"the float model reaches only mAP .* too little to measure the loss"):
        accept_int8(ranges, tmp_path / "x.onnx", reference, lambda _: reference, 1.0, [], print)
    assert not list(tmp_path.iterdir())


def test_int8_is_refused_on_a_handful_of_images(tmp_path: Path) -> None:
    few = [Sample.make(tmp_path / f"{n}.png", (4, 4), "val", [(0, 0, 2, 2)], [0], [n > 2]) for n in range(9)]
    few.append(Sample.make(tmp_path / "none.png", (4, 4), "val", [], []))
    dataset = Dataset(tmp_path, ("a",), tuple(few))
    with pytest.raises(ExportError, match=r"'val' has 3 images with boxes; .* needs 50"):
        check_images(dataset, 50)
    check_images(dataset, 3)
