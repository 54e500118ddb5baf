# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""`edgecam improve --train all`: what class heads cannot learn, an interrupted run, and what known labels keep."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from blind_detector import COLOURS, KNOWN, blind_detector, coloured_frames
from edgecam_core.errors import ModelError, SettingError
from edgecam_core.inference.model_file import ModelFile
from edgecam_training.data.dataset import Dataset, Sample
from edgecam_training.improve import network_data, network_trainer
from edgecam_training.improve.choice import choose
from edgecam_training.improve.field import LabelledImage, from_dataset, reviewed
from edgecam_training.improve.held_out import hold_out
from edgecam_training.improve.improve import Outcome, improve
from edgecam_training.improve.improve import Request as AnyRequest
from edgecam_training.improve.network_loss import Output, network_loss
from edgecam_training.models.loss import IGNORE, Targets
from onnx import numpy_helper

Request = partial(AnyRequest, precision="fp32")
SHORT = {"STEPS": 150, "ROUNDS": 5, "PATIENCE": 2, "RATE": 0.003}  # a small network and few frames need no more
GPU = torch.cuda.is_available()


def silent(_text: str) -> None:
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A model ``m.onnx``, and 40 reviewed frames in ``c``."""
    root = tmp_path_factory.mktemp("network")
    blind_detector(root / "m.onnx")
    coloured_frames(root / "c", 40)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SHORT.items():
            patch.setattr(network_trainer, name, value)
        yield root


def improved(folder: Path, output: Path, train: str) -> Outcome:
    return improve(Request(folder / "c", str(folder / "m.onnx"), output, train=train), silent)


@pytest.fixture(scope="module")
def heads(folder: Path) -> Outcome:
    return improved(folder, folder / "heads", "heads")


@pytest.fixture(scope="module")
def whole(folder: Path) -> Outcome:
    return improved(folder, folder / "all", "all")


def mean_ap(outcome: Outcome) -> float:
    return float(np.mean([row["new"] for row in outcome.facts["field"]["labels"].values()]))


def test_all_weights_learn_what_class_heads_cannot_see(heads: Outcome, whole: Outcome) -> None:
    assert mean_ap(heads) < 0.6  # squares, of any colour
    assert mean_ap(whole) > 0.9
    assert whole.verdict.passed, whole.verdict.reasons


def test_report_and_model_say_what_was_trained_and_why(folder: Path, heads: Outcome, whole: Outcome) -> None:
    report = json.loads((folder / "all" / "report.json").read_text())
    assert report["choice"].startswith("training all weights of the network: --train all, on ")
    assert heads.facts["choice"] == "training the class heads only: --train heads"
    facts = report["learning"]["all_weights"]
    assert facts["held_out_after"] > facts["held_out_before"]
    assert 1 <= facts["best_round"] <= facts["rounds"] <= SHORT["ROUNDS"]
    metadata = ModelFile.read(whole.model).metadata
    carried = json.loads(metadata["edgecam.report"])
    assert carried["made"]["trained"] == "all"
    assert carried["settings"]["train"] == "all"
    assert json.loads(metadata["edgecam.learning"]) == whole.facts["learning"]
    assert heads.facts["made"]["trained"] == "heads"
    assert "all_weights" not in heads.facts["learning"]


def test_every_weight_is_trained_and_nothing_else_of_the_graph_changes(folder: Path, whole: Outcome) -> None:
    old, new = (onnx.load(str(path)) for path in (folder / "m.onnx", whole.model))
    assert [node.SerializeToString() for node in new.graph.node] == [
        node.SerializeToString() for node in old.graph.node
    ]
    before, after = ({item.name: numpy_helper.to_array(item) for item in one.graph.initializer} for one in (old, new))
    for name, value in before.items():
        if name.startswith(("first", "second", "third", "places")):
            assert not np.array_equal(after[name], value), name
        elif not name.startswith(("classes", "rows_of_classes")):
            assert np.array_equal(after[name], value), name


def test_int8_ranges_are_those_of_the_trained_network(folder: Path, whole: Outcome) -> None:
    old, new = (ModelFile.read(path) for path in (folder / "m.onnx", whole.model))
    ranges = new.fact("ranges")
    assert ranges.keys() == old.fact("ranges").keys()
    assert ranges["input_0"] == [-1, 1]
    assert ranges["first"] == ranges["first/clip"]  # one operation in INT8
    assert 0 <= ranges["first"][0] < ranges["first"][1] <= 6
    low, high = ranges["places"]
    assert low < -0.01 < 0.01 < high
    assert new.fact("steps") is None


def running(folder: Path, output: Path) -> subprocess.Popen[str]:
    program = f"""
from pathlib import Path
from edgecam_training.improve import network_trainer
from edgecam_training.improve.improve import Request, improve
for name, value in {SHORT!r}.items():
    setattr(network_trainer, name, value)
request = Request(Path({str(folder / "c")!r}), {str(folder / "m.onnx")!r}, Path({str(output)!r}),
                  precision="fp32", train="all")
improve(request, lambda text: print(text, flush=True))
"""
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(GPU, reason="only a CPU computes exactly the same again")
def test_a_killed_run_continues_with_the_next_round_and_ends_with_the_same_model(
    folder: Path, whole: Outcome, tmp_path: Path
) -> None:
    with running(folder, tmp_path / "run") as process:
        assert process.stdout is not None
        assert any("round 2 of 5" in line for line in process.stdout)
        process.kill()
    assert not (tmp_path / "run" / "model.onnx").exists()
    lines: list[str] = []
    again = improve(Request(folder / "c", str(folder / "m.onnx"), tmp_path / "run", train="all"), lines.append)
    assert "training all weights: round 2 of 5: continued" in lines
    assert not any("round 1 of 5" in line for line in lines)
    assert again.model.read_bytes() == whole.model.read_bytes()
    assert sorted(path.name for path in again.model.parent.iterdir()) == ["model.onnx", "report.html", "report.json"]


def test_class_heads_are_kept_where_training_all_weights_is_no_better(
    folder: Path, heads: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_trainer, "RATE", 1e-7)
    monkeypatch.setattr(network_trainer, "STEPS", 1)
    monkeypatch.setattr(network_trainer, "LEAST_EPOCHS", 1)
    kept = improved(folder, tmp_path / "run", "all")
    assert kept.facts["learning"]["all_weights"]["best_round"] == 0
    mine, theirs = (onnx.load(str(one.model)).graph.SerializeToString() for one in (kept, heads))
    assert mine == theirs


def test_an_operator_that_cannot_be_trained_is_named(folder: Path, tmp_path: Path) -> None:
    model = onnx.load(str(folder / "m.onnx"))
    node = next(node for node in model.graph.node if node.op_type == "Clip")
    node.op_type = "Softplus"
    del node.input[1:]
    onnx.save(model, str(tmp_path / "m.onnx"))
    with pytest.raises(
        ModelError, match=r"the operator Softplus \(of 'first/clip'\) cannot be trained; .*--train heads"
    ):
        improve(Request(folder / "c", str(tmp_path / "m.onnx"), tmp_path / "run", train="all"), silent)
    assert not (tmp_path / "run" / "model.onnx").exists()


def test_auto_needs_a_gpu_and_images_of_known_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose("auto", True).trained == ("all" if GPU else "heads")
    if not GPU:
        assert "no GPU with CUDA" in str(choose("auto", True))
    with pytest.raises(SettingError, match="must be one of auto, heads, all"):
        choose("everything", True)
    monkeypatch.setattr("edgecam_training.improve.choice._device", lambda: "a GPU")
    assert choose("auto", True).trained == choose("all", False).trained == "all"
    assert choose("auto", False).trained == "heads"
    assert "without --old-set or --replay" in str(choose("auto", False))


def image(minute: int, *labels: str) -> LabelledImage:
    boxes = np.array([[0, 0, 10, 10]] * len(labels), np.float32).reshape(-1, 4)
    return LabelledImage(Path(f"{minute}.jpg"), boxes, labels, "front", (minute + 1) * 60 * 10**9)


def test_no_label_is_held_out_altogether() -> None:
    images = [image(minute, "cat", *(["dog"] if minute == 3 else [])) for minute in range(20)]
    fit, held = hold_out(images, 2.0)
    assert len(fit) + len(held) == 20
    assert 3 <= len(held) <= 5
    assert {label for one in fit for label in one.labels} == {"cat", "dog"}
    assert hold_out(images[:1], 2.0) == (images[:1], [])  # nothing can be spared


PRIORS = torch.tensor([[0.25, 0.25, 0.4, 0.4], [0.75, 0.75, 0.4, 0.4], [0.25, 0.75, 0.4, 0.4]])
CORNERS = torch.cat([PRIORS[:, :2] - PRIORS[:, 2:] / 2, PRIORS[:, :2] + PRIORS[:, 2:] / 2], dim=1)


def loss_gradient(labels: list[int], boxes: Any, labelled: list[bool], before: torch.Tensor) -> tuple[float, Any]:
    """The loss of one image whose network is unchanged, and its gradient for the (3, 3) logits."""
    logits = before.clone()[None].requires_grad_()
    now, old = Output(logits, CORNERS[None]), Output(before[None], CORNERS[None])
    targets = Targets(torch.as_tensor(boxes)[None], torch.tensor([labels]))
    loss = network_loss(now, old, targets, torch.tensor([labelled]), PRIORS)
    loss.backward()
    assert logits.grad is not None
    return loss.item(), logits.grad[0]


def test_what_was_known_costs_nothing_while_it_stays_and_is_not_background_where_unlabelled() -> None:
    before = torch.tensor([[0.0, 3.0, -3.0], [0.0, -3.0, -3.0], [0.0, -3.0, -3.0]])
    loss, gradient = loss_gradient([0], torch.zeros(1, 4), [False, False, False], before)
    assert loss == pytest.approx(0, abs=1e-6)
    assert gradient.abs().max() < 1e-6
    _, gradient = loss_gradient([2], CORNERS[1:2], [False, False, True], before)
    assert gradient[:, :2].abs().max() < 1e-6  # the known class keeps its object in the first anchor
    assert gradient[1, 2] < -0.1  # the labelled object
    assert gradient[0, 2] > 0  # elsewhere the new class is background


def test_an_ignore_region_is_neither_object_nor_background() -> None:
    before = torch.zeros(3, 3)
    boxes = torch.cat([CORNERS[1:2], CORNERS[2:3]])
    _, gradient = loss_gradient([2, IGNORE], boxes, [False, False, True], before)
    assert gradient[2].abs().max() < 1e-6
    assert gradient[0, 2] > 0


def test_difficult_boxes_of_a_data_set_are_ignore_regions_in_training(folder: Path) -> None:
    path = reviewed(folder / "c")[0].path
    sample = Sample.make(path, (64, 64), "train", [[0, 0, 32, 32], [32, 32, 64, 64]], [0, 0], [False, True])
    one = from_dataset(Dataset(path.parent, ("red",), (sample,)))[0]
    assert one.labels == ("red",)
    cache, columns = network_data.decode([([one], ["red"])], (*KNOWN, *COLOURS), 64)
    assert cache.labels.tolist() == [[2, IGNORE]]
    assert cache.boxes[0, 1].tolist() == [0.5, 0.5, 1.0, 1.0]
    assert columns.tolist() == [[False, False, True, False]]


def test_a_network_with_a_letterboxed_input_is_refused(folder: Path, tmp_path: Path) -> None:
    model = onnx.load(str(folder / "m.onnx"))
    onnx.helper.set_model_props(
        model, {item.key: item.value for item in model.metadata_props} | {"edgecam.fit": "letterbox"}
    )
    onnx.save(model, str(tmp_path / "m.onnx"))
    request = replace(Request(folder / "c", str(tmp_path / "m.onnx"), tmp_path / "run"), train="all")
    with pytest.raises(ModelError, match=r"64x64, nchw, letterbox; .*--train heads"):
        improve(request, silent)


def test_an_image_of_known_size_is_not_decoded_for_it(folder: Path) -> None:
    frame = reviewed(folder / "c")[0]
    height, width = frame.pixels().shape[:2]
    assert frame.known_size == replace(frame, known_size=(0, 0)).size == (width, height)
    missing = replace(frame, path=folder / "missing.jpg")
    sample = network_data._sample(missing, missing.labels, ("background", *missing.labels))
    assert (sample.width, sample.height) == (width, height)
