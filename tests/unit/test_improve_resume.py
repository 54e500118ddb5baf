"""Improvements that are interrupted, repeated with other settings, or have little to learn from."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from edgecam_core.cache import CacheError
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.records import REVIEWED, Box, KeptFrame, Review
from edgecam_core.errors import MissingDependency
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models import tuning
from edgecam_core.types import Frame
from edgecam_training.errors import DatasetError
from edgecam_training.improve import learn, recipe
from edgecam_training.improve.field import reviewed
from edgecam_training.improve.heads import ClassHeads
from edgecam_training.improve.improve import Outcome, improve
from edgecam_training.improve.improve import Request as AnyRequest
from edgecam_training.improve.precision import check_parity
from field_frames import SECOND, collect, copy, default_model, silent
from full_disk import files_of_at_most

Request = partial(AnyRequest, precision="fp32")  # not what a detector has measured on the machine of the test
STEPS = 10  # of the training, instead of 100: how well it learns is tested in test_improve.py


@pytest.fixture(scope="module", autouse=True)
def few_steps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learn, "STEPS", STEPS)
        yield


@pytest.fixture(scope="module")
def model() -> Path:
    return default_model()


@pytest.fixture(scope="module")
def small(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return collect(tmp_path_factory.mktemp("small") / "c", model, panda=6)


class Run(NamedTuple):
    """An improvement and the lines of its progress."""

    outcome: Outcome
    lines: list[str]


@pytest.fixture(scope="module")
def whole(model: Path, small: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An uninterrupted improvement with the frames of ``small``."""
    lines: list[str] = []
    return Run(improve(Request(small, str(model), tmp_path_factory.mktemp("run") / "run"), lines.append), lines)


@pytest.fixture(scope="module")
def small_run(whole: Run) -> Outcome:
    return whole.outcome


@pytest.mark.parametrize("change", [{"test_share": 0.5}, {"gap_seconds": 25.0}])
def test_a_run_with_another_split_learns_again(
    model: Path, small: Path, small_run: Outcome, tmp_path: Path, change: dict[str, float]
) -> None:
    request = replace(Request(small, str(model), tmp_path / "run"), **change)  # type: ignore[arg-type]
    shutil.copytree(small_run.model.parent, request.output)
    again = improve(request, silent)
    trained = {key: again.facts["made"][key] == small_run.facts["made"][key] for key in ("data", "train", "test")}
    assert trained == {"data": True, "train": False, "test": False}
    made = [ModelFile.read(one.model).metadata["edgecam.made_by"] for one in (small_run, again)]
    assert made == [recipe.key(one.facts["made"]) for one in (small_run, again)]
    assert made[0] != made[1]


def test_a_run_with_other_learning_code_learns_again(
    model: Path, small: Path, small_run: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Request(small, str(model), tmp_path / "run")
    shutil.copytree(small_run.model.parent, tmp_path / "run")
    before = (tmp_path / "run" / "model.onnx").stat().st_mtime_ns
    assert improve(request, silent).model.stat().st_mtime_ns == before
    monkeypatch.setattr("edgecam_training.improve.recipe.code", lambda: "another version")
    assert improve(request, silent).model.stat().st_mtime_ns > before


def test_nothing_about_int8_is_claimed_for_heads_that_were_never_measured_in_it(
    model: Path, small_run: Outcome
) -> None:
    old, new = ModelFile.read(model), ModelFile.read(small_run.model)
    assert "int8" in tuning.allowed_precisions(old)
    assert tuning.allowed_precisions(new) == ["auto"]
    heads = {name for name in old.fact("ranges") if "ClassPredictor" in name}
    assert heads
    assert set(new.fact("ranges")) == set(old.fact("ranges")) - heads
    assert not any("ClassPredictor" in name for name in new.fact("steps"))


def test_the_report_of_a_parent_is_not_passed_on(small_run: Outcome, tmp_path: Path) -> None:
    parent = ModelFile.read(small_run.model)
    assert "edgecam.report" in parent.metadata
    heads = ClassHeads(parent, parent.fact("labels"))
    (tmp_path / "child.onnx").write_bytes(heads.rebuild(heads.labels, heads.weights, heads.biases, {}))
    assert "edgecam.report" not in ModelFile.read(tmp_path / "child.onnx").metadata


def test_an_export_whose_scores_differ_is_removed_and_reported(
    model: Path, small: Path, small_run: Outcome, tmp_path: Path
) -> None:
    path = shutil.copy(small_run.model, tmp_path / "model.onnx")
    heads = ClassHeads(ModelFile.read(path), ModelFile.read(path).fact("labels"))
    other = heads.rebuild(heads.labels, heads.weights, [bias + 0.1 for bias in heads.biases], {})
    Path(path).write_bytes(other)
    frame = Frame.from_array(reviewed(small)[0].pixels(), "bgr8")
    with pytest.raises(DatasetError, match=r"exported in fp32 differ by 0\.0\d+ from the learned ones"):
        check_parity(Path(path), heads, frame)
    assert not Path(path).exists()


def test_without_reviews_or_with_known_labels_alone_the_reason_is_given(model: Path, tmp_path: Path) -> None:
    kept = Collection.create(tmp_path / "c")
    with pytest.raises(DatasetError, match="reviewed"):
        improve(Request(tmp_path / "c", str(model), tmp_path / "run"), silent)
    frame = KeptFrame("a", "images/x/a.jpg", 320, 240, SECOND, "", "x", (), ())
    kept.add(frame, cv2.imencode(".jpg", np.zeros((240, 320, 3), np.uint8))[1].tobytes())
    kept.save_review(Review("a", REVIEWED, (Box("dog", (10.0, 10.0, 100.0, 100.0)),)))
    with pytest.raises(DatasetError, match="--replay"):
        improve(Request(tmp_path / "c", str(model), tmp_path / "run"), silent)


@pytest.mark.skipif(find_spec("torch") is not None, reason="PyTorch is installed here")
def test_without_pytorch_class_heads_are_trained_and_all_weights_are_refused(
    model: Path, small: Path, small_run: Outcome, tmp_path: Path
) -> None:
    assert small_run.facts["choice"].startswith("training the class heads only: PyTorch is not installed")
    with pytest.raises(
        MissingDependency, match=r"PyTorch, which --train all needs, .*pip install torch, or .*--train heads"
    ):
        improve(Request(small, str(model), tmp_path / "run", train="all"), silent)


def test_few_frames_of_one_class_are_learned_and_refused_with_what_is_missing(model: Path, small_run: Outcome) -> None:
    assert ModelFile.read(small_run.model).fact("labels") == [*ModelFile.read(model).fact("labels"), "panda"]
    assert not small_run.verdict.passed
    assert not small_run.verdict.enough
    assert any("more test frames" in reason for reason in small_run.verdict.reasons)


def test_reviews_without_any_box_are_refused_as_nothing_to_learn(model: Path, small: Path, tmp_path: Path) -> None:
    emptied = copy(small, tmp_path / "c")
    kept = Collection.open(emptied)
    for review in list(kept.reviews()):
        kept.save_review(replace(review, boxes=()))
    for replay in ((), tuple(reviewed(small)[:2])):
        with pytest.raises(DatasetError, match=r"none of the 6 reviewed frames of .* has a box; label some"):
            improve(Request(emptied, str(model), tmp_path / "run", replay=replay), silent)
    assert not (tmp_path / "run" / "model.onnx").exists()


def improving(collection: Path, model: Path, output: Path) -> subprocess.Popen[str]:
    """``improve`` in a separate process, which can be killed; it prints its progress."""
    program = f"""
from pathlib import Path
from edgecam_training.improve import learn
from edgecam_training.improve.improve import Request, improve
learn.STEPS = {STEPS}
request = Request(Path({str(collection)!r}), {str(model)!r}, Path({str(output)!r}), precision="fp32")
improve(request, lambda text: print(text, flush=True))
"""
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


def test_a_killed_run_resumes_after_the_finished_steps(
    model: Path, small: Path, small_run: Outcome, tmp_path: Path
) -> None:
    with improving(small, model, tmp_path / "run") as process:
        assert process.stdout is not None
        assert any(line.startswith("fold 1 of 3: mining") for line in process.stdout)
        process.kill()
    assert not (tmp_path / "run" / "model.onnx").exists()
    lines: list[str] = []
    again = improve(Request(small, str(model), tmp_path / "run"), lines.append)
    assert not any(line.startswith("all: mining") for line in lines)  # finished before it was killed
    assert any(line.startswith("fold 1 of 3: mining") for line in lines)
    assert again.model.read_bytes() == small_run.model.read_bytes()
    assert sorted(path.name for path in again.model.parent.iterdir()) == ["model.onnx", "report.html", "report.json"]


def test_a_run_killed_at_random_moments_ends_with_the_same_model(
    model: Path, small: Path, whole: Run, tmp_path: Path
) -> None:
    most = 2 * len(whole.lines) // 3
    for lines in np.random.default_rng().integers(5, most, 2).tolist():
        print("killed after line", lines)
        with improving(small, model, tmp_path / "run") as process:
            assert process.stdout is not None
            for _ in zip(range(lines), process.stdout, strict=False):
                pass
            process.kill()
    again = improve(Request(small, str(model), tmp_path / "run"), silent)
    assert again.model.read_bytes() == whole.outcome.model.read_bytes()
    assert sorted(path.name for path in again.model.parent.iterdir()) == ["model.onnx", "report.html", "report.json"]


def test_a_full_disk_ends_the_run_with_a_message_and_the_run_can_resume(
    model: Path, small: Path, small_run: Outcome, tmp_path: Path
) -> None:
    request = Request(small, str(model), tmp_path / "run")
    with files_of_at_most(200_000), pytest.raises(CacheError, match=r"run: the disk is full; free some space$"):
        improve(request, silent)
    assert list((tmp_path / "run").iterdir()) == []
    assert improve(request, silent).model.read_bytes() == small_run.model.read_bytes()
