"""From reviewed frames to a better model: learned by the default model's heads, compared, judged, stored."""

from __future__ import annotations

import argparse
import json
import re
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from edgecam_core.errors import ModelError
from edgecam_core.inference import artifacts
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.onnxruntime_runner import cpu_session
from edgecam_core.inference.precision import CPU, convert_precision
from edgecam_core.inference.runner import RunnerOptions
from edgecam_core.models import tuning
from edgecam_core.models.detector import Detector, Plan
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.opening import open_tuned
from edgecam_core.models.store import ModelStore
from edgecam_core.types import Detections
from edgecam_training.cli.improve import add_arguments, run
from edgecam_training.improve import recipe
from edgecam_training.improve.field import LabelledImage, reviewed
from edgecam_training.improve.heads import ClassHeads
from edgecam_training.improve.improve import Outcome, improve, store
from edgecam_training.improve.improve import Request as AnyRequest
from edgecam_training.improve.report import write_html
from field_frames import PHOTOS, collect, default_model, silent
from tiny_models import color_detector

TEST_SHARE = 0.4  # of thirty frames; ten must be tested
Request = partial(AnyRequest, precision="fp32", test_share=TEST_SHARE)  # not what a detector has measured here


@pytest.fixture(scope="module")
def model() -> Path:
    return default_model()


@pytest.fixture(scope="module")
def collection(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reviewed frames of two unknown animals, and of two known ones without any box."""
    return collect(tmp_path_factory.mktemp("field") / "c", model, panda=13, owl=13, dog=2, cat=2)


def raw_scores(model: Path, pixels: np.ndarray) -> np.ndarray:
    session = cpu_session(str(model))
    tensor = (cv2.resize(pixels, (300, 300))[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32) - 127) / 128
    return np.asarray(session.run(["scores"], {"input_0": np.ascontiguousarray(tensor)})[0][0])


@pytest.fixture(scope="module")
def full_run(model: Path, collection: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return improve(Request(collection, str(model), tmp_path_factory.mktemp("full") / "run"), silent)


def test_new_labels_are_learned_and_nothing_that_was_known_changes(
    model: Path, collection: Path, full_run: Outcome, tmp_path: Path
) -> None:
    outcome, folder = full_run, full_run.model.parent
    rows = outcome.facts["field"]["labels"]
    assert all(row["old"] == 0 and row["new"] > 0.5 for row in rows.values()), rows
    assert outcome.verdict.passed, outcome.verdict.reasons
    assert outcome.facts["field"]["difference_low"] > 0
    assert all("[" in row["new_interval"] for row in rows.values())
    pixels = cv2.imread(str(PHOTOS / "dog.jpg"))
    before, after = raw_scores(model, pixels), raw_scores(outcome.model, pixels)
    assert after.shape == (before.shape[0], before.shape[1] + 2)
    assert np.array_equal(after[:, : before.shape[1]], before)  # the known labels: bit for bit
    detector = Detector.open(DetectorSettings(model=str(outcome.model), backend="onnxruntime"))
    assert detector.labels[-2:] == ("owl", "panda")
    report = json.loads((folder / "report.json").read_text())
    carried = json.loads(ModelFile.read(outcome.model).metadata["edgecam.report"])
    assert carried == {name: report[name] for name in carried}
    assert {"parent", "data", "seed", "code"} <= carried["made"].keys()
    assert carried["settings"]["gap_seconds"] == 2.0
    assert carried["field"]["difference_low"] > 0
    assert carried["verdict"]["passed"] is True
    assert report["exported"]["sha256"] == ModelFile.read(outcome.model).sha256
    stored = store(outcome, Request(collection, str(model), folder), "field", ModelStore(tmp_path / "store"))
    assert stored.facts["note"] == "passed"
    assert (stored.folder / "report.html").is_file()


def test_the_report_shows_the_worst_mistakes_of_both_models_side_by_side(
    collection: Path, full_run: Outcome, tmp_path: Path
) -> None:
    images, order = reviewed(collection)[:12], [7, 0, 11, 3, 1, 2, 4, 5, 6, 8, 9, 10]
    none = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32), ("owl",))
    write_html(tmp_path / "report.html", full_run.facts, images, [none] * 12, [none] * 12, order)
    text = (tmp_path / "report.html").read_text().partition("Worst mistakes")[2]
    assert re.findall(r"<p>(.+?)<br>", text) == [images[index].path.name for index in order[:8]]
    assert re.findall(r"<img alt='(\w+)' src='data:image/jpeg", text) == ["labelled", "before", "after"] * 8


def test_everything_that_decides_the_heads_is_in_the_key(
    model: Path, collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, parents = reviewed(collection), (ModelFile.read(model), ModelFile.read(color_detector(tmp_path / "m.onnx")))

    def key(
        frames: list[LabelledImage] = images,
        split: int = 20,
        seed: int = 0,
        replay: int = 0,
        parent: int = 0,
        **made: Any,
    ) -> str:
        data = recipe.of_data(parents[parent], frames, (frames[:split], frames[split:]), seed)
        return recipe.key({**recipe.recipe(data, images[:replay], ["owl", "panda"], "heads"), **made})

    moved = [replace(images[0], boxes=images[0].boxes + 1), *images[1:]]
    named = [replace(images[0], labels=tuple("dog" for _ in images[0].labels)), *images[1:]]
    keys = [key(), key(moved), key(named), key(split=19), key(seed=1), key(replay=2), key(replay=3), key(parent=1)]
    keys += [key(images[:25]), key(learned=["panda"]), key(trained="all")]
    monkeypatch.setattr(recipe, "code", lambda: "another version")
    keys.append(key())
    assert len(set(keys)) == len(keys)


@pytest.fixture
def int8_measured(model: Path, engines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector on this machine has measured that the live model is fastest in INT8."""
    monkeypatch.setattr("edgecam_core.inference.artifacts.folder", lambda _chosen=None: engines / "improve")
    choice = {"backend": "onnxruntime", "precision": "int8", "threads": 1, "ms": 1.0, "cpu_ms": 1.0}
    settings = DetectorSettings(model=str(model))
    artifact, facts = tuning._record(Plan.read(settings), settings)
    artifact.put(facts, json.dumps({"best": choice}).encode())


def as_run(request: AnyRequest, finished: Outcome) -> AnyRequest:
    """The request, with the finished steps of another run already in its folder."""
    shutil.copytree(finished.model.parent, request.output)
    return request


def test_the_new_model_is_exported_and_tested_in_the_precision_that_the_live_detector_runs(
    model: Path, collection: Path, full_run: Outcome, tmp_path: Path, int8_measured: None
) -> None:
    request = as_run(Request(collection, str(model), tmp_path / "run", precision="auto"), full_run)
    outcome = improve(request, silent)
    assert outcome.facts["settings"]["precision"] == "int8"
    exported = tmp_path / "run" / outcome.facts["exported"]["file"]
    assert ModelFile.read(exported).precision == "int8"
    assert ModelFile.read(exported).sha256 == outcome.facts["exported"]["sha256"]
    assert ModelFile.read(outcome.model).precision == "fp32"  # what the store keeps and the next run starts from
    rows = outcome.facts["field"]["labels"]
    assert all(row["new"] > 0.5 for row in rows.values()), rows
    # The detector runs the new version in the way that was tested, from the same file.
    stored = store(outcome, request, "field", ModelStore(tmp_path / "store"))
    detector = open_tuned(DetectorSettings(model=str(stored.path)))
    assert detector.tuned
    assert "int8" in detector.runner.description
    used = {ModelFile.read(path).sha256 for path in artifacts.folder().glob("model-int8-*.onnx")}
    assert outcome.facts["exported"]["sha256"] in used
    detector.close()


def test_another_precision_than_the_measured_one_is_tested_and_then_not_carried_over(
    model: Path, collection: Path, full_run: Outcome, tmp_path: Path, int8_measured: None
) -> None:
    request = as_run(Request(collection, str(model), tmp_path / "run", precision="fp16"), full_run)
    outcome = improve(request, silent)
    assert ModelFile.read(tmp_path / "run" / "model.fp16.onnx").precision == "fp16"
    stored = store(outcome, request, "field", ModelStore(tmp_path / "store"))
    assert tuning.choices_of(stored.facts["sha256"]) == []


def test_new_heads_of_an_fp16_file_stay_fp16(model: Path, engines: Path, tmp_path: Path) -> None:
    half = convert_precision(ModelFile.read(model), RunnerOptions(precision="fp16"), CPU)
    heads = ClassHeads(half, half.fact("labels"))
    (tmp_path / "new.onnx").write_bytes(heads.rebuild(heads.labels, heads.weights, heads.biases, {}))
    assert ModelFile.read(tmp_path / "new.onnx").precision == "fp16"
    cpu_session(str(tmp_path / "new.onnx"))  # refuses tensors of another type than their operators'


def test_the_command_stores_and_deploys_what_passed(
    model: Path,
    collection: Path,
    full_run: Outcome,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("EDGECAM_MODELS", str(tmp_path / "store"))
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = [str(collection), "--model", str(model), "--output", str(tmp_path / "run"), "--test-share", str(TEST_SHARE)]
    words += ["--store", "field", "--deploy", "--precision", "fp32"]
    shutil.copytree(full_run.model.parent, tmp_path / "run")  # finished steps are not repeated
    assert run(parser.parse_args(words)) == 0
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["made"] == full_run.facts["made"]
    assert report["learning"]["shifts"] == pytest.approx(full_run.facts["learning"]["shifts"], abs=1e-5)
    shown = capsys.readouterr().out
    assert "passed: better on the field test" in shown
    assert "deployed" in shown
    assert ModelStore().locate("store:field").is_file()


def test_a_model_without_such_heads_is_refused(collection: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="sigmoid"):
        improve(Request(collection, str(color_detector(tmp_path / "m.onnx")), tmp_path / "run"), silent)
