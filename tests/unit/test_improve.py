"""From reviewed frames to a better model: learned by the default model's heads, compared, judged, stored."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from edgecam_core.cache import CacheError
from edgecam_core.collect import coco
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.records import REVIEWED, Box, CollectionError, KeptFrame, Review
from edgecam_core.errors import EdgecamError, MissingDependency, ModelError, SettingError
from edgecam_core.inference import artifacts
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.onnxruntime_runner import cpu_session
from edgecam_core.inference.precision import CPU, convert_precision
from edgecam_core.inference.runner import RunnerOptions
from edgecam_core.models import tuning, zoo
from edgecam_core.models.detector import Detector, Plan
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.opening import open_tuned
from edgecam_core.models.store import ModelStore
from edgecam_core.types import Detections, Frame
from edgecam_training.cli.improve import add_arguments, run
from edgecam_training.errors import DatasetError
from edgecam_training.improve import recipe
from edgecam_training.improve.field import LabelledImage, reviewed, split
from edgecam_training.improve.heads import ClassHeads
from edgecam_training.improve.improve import Outcome, improve, store
from edgecam_training.improve.improve import Request as AnyRequest
from edgecam_training.improve.judge import judge, missing_data
from edgecam_training.improve.measure import false_alarms
from edgecam_training.improve.precision import check_parity
from edgecam_training.improve.remote import RemoteError, improve_on
from edgecam_training.improve.report import write_html
from edgecam_training.improve.statistics import ConfidenceInterval, Hits, average_precision, compare, match
from full_disk import files_of_at_most
from network import free_tcp_port
from tiny_models import color_detector
from waiting import wait_until

PHOTOS = Path(__file__).resolve().parents[1] / "assets" / "photos"
SECOND = 1_000_000_000
Request = partial(AnyRequest, precision="fp32")  # not what a detector has measured on the machine of the test
NEW = {"panda": "panda", "owl": "owl"}  # photo -> a label that the default model lacks


@pytest.fixture(scope="module")
def model() -> Path:
    try:
        return zoo.fetch()
    except zoo.FetchError as error:
        pytest.skip(f"needs the default model: {error}")


def boxes_of(detector: Detector, pixels: np.ndarray) -> list[tuple[float, ...]]:
    """The live model's box of the animal, with any label."""
    found = sorted(detector.detect(pixels), key=lambda one: -one.score)
    return [found[0].box] if found else []


def views(photo: str, count: int) -> list[tuple[np.ndarray, tuple[float, float, float]]]:
    """Crops of a photo with (left, top, scale)."""
    image = cv2.imread(str(PHOTOS / f"{photo}.jpg"))
    height, width = image.shape[:2]
    chance = np.random.default_rng(3)
    made = []
    for _ in range(count):
        share = chance.uniform(0.85, 1.0)
        w, h = round(width * share), round(height * share)
        left, top = round(chance.uniform(0, width - w)), round(chance.uniform(0, height - h))
        made.append((cv2.resize(image[top : top + h, left : left + w], (320, 240)), (left, top, share)))
    return made


@pytest.fixture(scope="module")
def collection(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reviewed frames of two unknown animals, ten seconds apart, and of two known ones without any box."""
    root = tmp_path_factory.mktemp("field") / "c"
    kept = Collection.create(root)
    detector = Detector.open(DetectorSettings(model=str(model), confidence_threshold=0.3, backend="onnxruntime"))
    number = 0
    for photo in (*NEW, "dog", "cat"):
        for pixels, _ in views(photo, 20 if photo in NEW else 4):
            number += 1
            frame = KeptFrame(
                id=f"{number:04d}",
                image=f"images/front/{number:04d}.jpg",
                width=320,
                height=240,
                stamp_ns=number * 10 * SECOND,
                frame_id="lens",
                camera="front",
                rules=({"rule": "novel", "value": 20},),
                proposals=(),
            )
            kept.add(frame, cv2.imencode(".jpg", pixels)[1].tobytes())
            boxes = [Box(NEW[photo], box) for box in boxes_of(detector, pixels)] if photo in NEW else []  # type: ignore[arg-type]
            kept.save_review(Review(frame.id, REVIEWED, tuple(boxes), "test"))
    detector.close()
    return root


def silent(_text: str) -> None:
    pass


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


def test_everything_that_decides_the_heads_is_in_the_key(
    model: Path, collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, parents = reviewed(collection), (ModelFile.read(model), ModelFile.read(color_detector(tmp_path / "m.onnx")))

    def key(
        frames: list[LabelledImage] = images,
        split: int = 30,
        seed: int = 0,
        replay: int = 0,
        parent: int = 0,
        **made: Any,
    ) -> str:
        data = recipe.of_data(parents[parent], frames, (frames[:split], frames[split:]), seed)
        return recipe.key({**recipe.recipe(data, images[:replay], ["owl", "panda"], "heads"), **made})

    moved = [replace(images[0], boxes=images[0].boxes + 1), *images[1:]]
    named = [replace(images[0], labels=tuple("dog" for _ in images[0].labels)), *images[1:]]
    keys = [key(), key(moved), key(named), key(split=29), key(seed=1), key(replay=2), key(replay=3), key(parent=1)]
    keys += [key(images[:40]), key(learned=["panda"]), key(trained="all")]
    monkeypatch.setattr(recipe, "code", lambda: "another version")
    keys.append(key())
    assert len(set(keys)) == len(keys)


def test_a_run_with_other_learning_code_learns_again(
    model: Path, small: Path, small_run: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Request(small, str(model), tmp_path / "run")
    shutil.copytree(small_run.model.parent, tmp_path / "run")
    before = (tmp_path / "run" / "model.onnx").stat().st_mtime_ns
    assert improve(request, silent).model.stat().st_mtime_ns == before
    monkeypatch.setattr("edgecam_training.improve.recipe.code", lambda: "another version")
    assert improve(request, silent).model.stat().st_mtime_ns > before


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
    model: Path, small: Path, small_run: Outcome, tmp_path: Path, int8_measured: None
) -> None:
    request = as_run(Request(small, str(model), tmp_path / "run", precision="fp16"), small_run)
    outcome = improve(request, silent)
    assert ModelFile.read(tmp_path / "run" / "model.fp16.onnx").precision == "fp16"
    stored = store(outcome, request, "field", ModelStore(tmp_path / "store"))
    assert tuning.choices_of(stored.facts["sha256"]) == []


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


def test_new_heads_of_an_fp16_file_stay_fp16(model: Path, engines: Path, tmp_path: Path) -> None:
    half = convert_precision(ModelFile.read(model), RunnerOptions(precision="fp16"), CPU)
    heads = ClassHeads(half, half.fact("labels"))
    (tmp_path / "new.onnx").write_bytes(heads.rebuild(heads.labels, heads.weights, heads.biases, {}))
    assert ModelFile.read(tmp_path / "new.onnx").precision == "fp16"
    cpu_session(str(tmp_path / "new.onnx"))  # refuses tensors of another type than their operators'


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


def test_the_command_stores_and_deploys_what_passed(
    model: Path,
    collection: Path,
    full_run: Outcome,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import argparse

    monkeypatch.setenv("EDGECAM_MODELS", str(tmp_path / "store"))
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = [
        str(collection),
        "--model",
        str(model),
        "--output",
        str(tmp_path / "run"),
        "--store",
        "field",
        "--deploy",
        "--precision",
        "fp32",
    ]
    shutil.copytree(full_run.model.parent, tmp_path / "run")  # finished steps are not repeated
    assert run(parser.parse_args(words)) == 0
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["made"] == full_run.facts["made"]
    assert report["learning"]["shifts"] == pytest.approx(full_run.facts["learning"]["shifts"], abs=1e-5)
    shown = capsys.readouterr().out
    assert "passed: better on the field test" in shown
    assert "deployed" in shown
    assert ModelStore().locate("store:field").is_file()


def test_without_reviews_or_with_known_labels_alone_the_reason_is_given(model: Path, tmp_path: Path) -> None:
    kept = Collection.create(tmp_path / "c")
    with pytest.raises(DatasetError, match="reviewed"):
        improve(Request(tmp_path / "c", str(model), tmp_path / "run"), silent)
    frame = KeptFrame("a", "images/x/a.jpg", 320, 240, SECOND, "", "x", (), ())
    kept.add(frame, cv2.imencode(".jpg", np.zeros((240, 320, 3), np.uint8))[1].tobytes())
    kept.save_review(Review("a", REVIEWED, (Box("dog", (10.0, 10.0, 100.0, 100.0)),)))
    with pytest.raises(DatasetError, match="--replay"):
        improve(Request(tmp_path / "c", str(model), tmp_path / "run"), silent)


def test_a_model_without_such_heads_is_refused(collection: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="sigmoid"):
        improve(Request(collection, str(color_detector(tmp_path / "m.onnx")), tmp_path / "run"), silent)


def first_frames(collection: Path, small: Path) -> Path:
    """A collection of the first eight frames of another one."""
    kept, source = Collection.create(small), Collection.open(collection)
    for name in source.ids()[:8]:
        frame, review = source.frame(name), source.review(name)
        assert review is not None
        kept.add(frame, source.image_path(frame).read_bytes())
        kept.save_review(Review(name, REVIEWED, review.boxes))
    return small


@pytest.fixture(scope="module")
def small(collection: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return first_frames(collection, tmp_path_factory.mktemp("small") / "c")


@pytest.fixture(scope="module")
def small_run(model: Path, small: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """An uninterrupted improvement with the frames of ``small``."""
    return improve(Request(small, str(model), tmp_path_factory.mktemp("run") / "run"), silent)


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


def test_reviews_without_any_box_are_refused_as_nothing_to_learn(model: Path, collection: Path, tmp_path: Path) -> None:
    emptied = first_frames(collection, tmp_path / "c")
    kept = Collection.open(emptied)
    for review in list(kept.reviews()):
        kept.save_review(replace(review, boxes=()))
    for replay in ((), tuple(reviewed(collection)[:2])):
        with pytest.raises(DatasetError, match=r"none of the 8 reviewed frames of .* has a box; label some"):
            improve(Request(emptied, str(model), tmp_path / "run", replay=replay), silent)
    assert not (tmp_path / "run" / "model.onnx").exists()


def improving(collection: Path, model: Path, output: Path) -> subprocess.Popen[str]:
    """``improve`` in a separate process, which can be killed; it prints its progress."""
    program = f"""
from pathlib import Path
from edgecam_training.improve.improve import Request, improve
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
    model: Path, small: Path, small_run: Outcome, tmp_path: Path
) -> None:
    for lines in np.random.default_rng().integers(5, 60, 3).tolist():  # 60: about the middle
        print("killed after line", lines)
        with improving(small, model, tmp_path / "run") as process:
            assert process.stdout is not None
            for _ in zip(range(lines), process.stdout, strict=False):
                pass
            process.kill()
    again = improve(Request(small, str(model), tmp_path / "run"), silent)
    assert again.model.read_bytes() == small_run.model.read_bytes()
    assert sorted(path.name for path in again.model.parent.iterdir()) == ["model.onnx", "report.html", "report.json"]


def test_a_full_disk_ends_the_run_with_a_message_and_the_run_can_resume(
    model: Path, small: Path, small_run: Outcome, tmp_path: Path
) -> None:
    request = Request(small, str(model), tmp_path / "run")
    with files_of_at_most(200_000), pytest.raises(CacheError, match=r"run: the disk is full; free some space$"):
        improve(request, silent)
    assert list((tmp_path / "run").iterdir()) == []
    assert improve(request, silent).model.read_bytes() == small_run.model.read_bytes()


def image(stamp: float, *labels: str, group: str = "front") -> LabelledImage:
    boxes = np.array([[0, 0, 10, 10]] * len(labels), np.float32).reshape(-1, 4)
    return LabelledImage(Path(f"{group}-{stamp}.jpg"), boxes, labels, group, round(stamp * SECOND))


def test_neighbouring_frames_stay_on_one_side_and_every_label_is_on_both() -> None:
    images = [
        image(moment * 60 + tick / 25, "cat" if moment % 2 else "dog") for moment in range(20) for tick in range(5)
    ]
    train, test = split(images, 0.3, 2.0)
    assert len(train) + len(test) == 100
    moments = [{one.stamp_ns // (60 * SECOND) for one in side} for side in (train, test)]
    assert not moments[0] & moments[1]
    for side in (train, test):
        assert {label for one in side for label in one.labels} == {"cat", "dog"}
    assert 20 <= len(test) <= 40


def test_no_frame_of_a_held_out_camera_is_used_for_training() -> None:
    images = [image(minute * 60, "cat", group=camera) for minute in range(9) for camera in ("front", "rear", "yard")]
    train, test = split(images, test_cameras=["yard"])
    assert {one.group for one in test} == {"yard"}
    assert {one.group for one in train} == {"front", "rear"}
    assert len(train) + len(test) == len(images)
    with pytest.raises(
        SettingError, match=r"'test-camera'.*'door'.*cameras with reviewed frames are front, rear, yard"
    ):
        split(images, test_cameras=["door"])


def test_neighbours_are_searched_within_a_camera() -> None:
    images = [image(second, "cat", group=camera) for second in range(60) for camera in ("front", "rear")]
    train, test = split(images, 0.3, 2.0)  # each camera is one run: one side each
    assert {one.group for one in train} != {one.group for one in test}
    assert len({one.group for one in train}) == 1


def test_what_is_missing_is_counted() -> None:
    train, test = [image(n, "cat") for n in range(3)], [image(n + 100, "cat") for n in range(4)]
    text = "; ".join(missing_data(train, test, ["cat"]))
    assert "6 more test frames" in text
    assert "2 more boxes of 'cat' in training frames" in text
    assert "1 more boxes of 'cat' in test frames" in text


def test_the_verdict_needs_a_difference_above_zero_and_no_label_that_loses() -> None:
    clear, unclear = ConfidenceInterval(0.2, 0.05, 0.4), ConfidenceInterval(0.2, -0.01, 0.4)
    alarms = (0.0, 0.4), 0.5
    assert judge([], clear, {"dog": 0.8}, {"dog": 0.79}, 0.02, *alarms).passed
    assert not judge([], unclear, {}, {}, 0.02, *alarms).passed
    refused = judge([], clear, {"dog": 0.8, "cat": float("nan")}, {"dog": 0.7, "cat": 0.0}, 0.02, *alarms)
    assert not refused.passed
    assert "'dog' loses 10.0 points" in " ".join(refused.reasons)


def test_a_model_with_many_wrong_boxes_is_refused_however_good_its_average_precision_is() -> None:
    clear = ConfidenceInterval(0.3, 0.2, 0.4)
    refused = judge([], clear, {}, {}, 0.02, (0.0, 15.84), 0.5)
    assert not refused.passed
    assert "15.84 wrong boxes of the learned labels per image" in " ".join(refused.reasons)
    assert judge([], clear, {}, {}, 0.02, (1.0, 1.4), 0.5).passed  # the live model had most of them


def test_average_precision_by_hand() -> None:
    truth = [image(0, "cat"), image(1, "cat")]
    box = (0.0, 0.0, 10.0, 10.0)
    found = [[("cat", 0.9, box), ("cat", 0.8, box)], [("cat", 0.7, box)]]
    hits = match(found, truth, "cat")
    assert hits.hit.tolist() == [True, False, True]
    assert average_precision(hits, np.array([1, 1])) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert average_precision(hits, np.array([2, 0])) == pytest.approx(1.0)
    assert np.isnan(average_precision(hits, np.array([0, 0])))


def test_wrong_boxes_of_the_learned_labels_are_counted_from_a_score_of_a_half() -> None:
    boxes = np.array([[0, 0, 10, 10], [50, 50, 60, 60], [50, 50, 60, 60], [70, 70, 80, 80]], np.float32)
    found = Detections(boxes, np.array([0.9, 0.8, 0.4, 0.8], np.float32), np.array([0, 0, 0, 1]), ("cat", "dog"))
    assert false_alarms([found, found], [image(0, "cat"), image(1)], ["cat"]) == 1.5
    assert false_alarms([found], [image(0, "cat")], []) == 0


def test_equal_models_have_a_difference_of_zero_and_a_better_one_an_interval_above() -> None:
    count = 40
    boxes = np.ones(count, int)
    every = Hits(np.arange(count), np.ones(count, bool), boxes)
    half = Hits(np.arange(count), np.arange(count) % 2 == 0, boxes)
    same = compare([half], [half], count)[2]
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    assert compare([half], [every], count)[2].low > 0.2


def test_a_reviewed_collection_is_read_in_order_of_capture(collection: Path) -> None:
    images = reviewed(collection)
    assert [one.stamp_ns for one in images] == sorted(one.stamp_ns for one in images)
    assert {label for one in images for label in one.labels} == {"panda", "owl"}


def test_an_image_deleted_by_hand_is_named(collection: Path, tmp_path: Path) -> None:
    small = first_frames(collection, tmp_path / "c")
    kept = Collection.open(small)
    frame = kept.frame(kept.ids()[3])
    kept.image_path(frame).unlink()
    for use in (lambda: reviewed(small), lambda: coco.merge([small], tmp_path / "all")):
        with pytest.raises(CollectionError, match=rf"the image of frame {frame.id}, .* no longer exists; put it back"):
            use()


def test_a_folder_that_is_not_a_collection_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgecamError, match=r"collection\.json"):
        reviewed(tmp_path)


SSH = """#!/bin/sh
# Stands in for ssh: runs the command in another home folder.
while [ "$1" = -o ]; do shift 2; done
echo "$1" >>"$SSH_HOME/hosts"
cd "$SSH_HOME" || exit 255
[ "$1" = nobody@nowhere ] && { echo "ssh: connect to host nowhere port 22: No route to host" >&2; exit 255; }
exec sh -c "$2"
"""


@pytest.fixture
def other_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder of another machine, in which the program 'ssh' on PATH works."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("SSH_HOME", str(home))
    use_as_ssh(SSH, tmp_path / "bin", monkeypatch)
    return home


def use_as_ssh(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    (folder / "ssh").write_text(script)
    (folder / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


def test_the_work_is_done_on_another_machine_and_nothing_stays_there(
    model: Path, collection: Path, other_machine: Path, tmp_path: Path
) -> None:
    small = first_frames(collection, tmp_path / "c")
    request = Request(small, str(model), tmp_path / "run", train="heads")
    lines: list[str] = []
    command = f"{sys.executable} -m edgecam_core.cli.main"
    outcome = improve_on("me@gpu", request, [], command, lines.append)
    assert not outcome.verdict.enough
    assert outcome.facts["made_on"] == "me@gpu"
    assert outcome.facts["made"]["parent"] == ModelFile.read(model).sha256
    assert outcome.facts["settings"]["train"] == "heads"
    assert outcome.model.is_file()
    assert "data:image/jpeg" in (tmp_path / "run" / "report.html").read_text()
    assert any(line.startswith("me@gpu: ") for line in lines)
    assert list((other_machine / ".cache" / "edgecam").iterdir()) == []
    assert set((other_machine / "hosts").read_text().split()) == {"me@gpu"}


SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")


@pytest.fixture
def ssh_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """OpenSSH's server on loopback with ``tmp_path/home`` as home folder, as the host "trainer" of this user's ssh."""
    if SSHD is None or shutil.which("ssh") is None:
        pytest.skip("there is no OpenSSH server here: apt install openssh-server, which starts it")
    home, port = tmp_path / "home", free_tcp_port()
    home.mkdir()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    (tmp_path / "sshd.conf").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nAuthorizedKeysFile {tmp_path}/user.pub\n"
        f'PidFile none\nUsePAM no\nStrictModes no\nForceCommand cd {home} && exec sh -c "$SSH_ORIGINAL_COMMAND"\n'
    )
    (tmp_path / "ssh.conf").write_text(
        f"Host trainer\n HostName 127.0.0.1\n Port {port}\n IdentityFile {tmp_path}/user\n"
        f" UserKnownHostsFile {tmp_path}/known\n StrictHostKeyChecking accept-new\n"
    )
    script = f'#!/bin/sh\nexec {shutil.which("ssh")} -F {tmp_path}/ssh.conf "$@"\n'
    use_as_ssh(script, tmp_path / "bin", monkeypatch)
    with (
        (tmp_path / "sshd.log").open("w") as log,
        subprocess.Popen([SSHD, "-D", "-e", "-f", str(tmp_path / "sshd.conf")], stderr=log) as server,
    ):
        wait_until(lambda: "listening" in (tmp_path / "sshd.log").read_text(), what="the SSH server")
        yield home
        server.terminate()


def test_the_work_is_done_over_a_real_ssh_connection(
    model: Path, collection: Path, ssh_server: Path, tmp_path: Path
) -> None:
    request = Request(first_frames(collection, tmp_path / "c"), str(model), tmp_path / "run")
    lines: list[str] = []
    command = f"env PYTHONPATH={os.environ.get('PYTHONPATH', '')} {sys.executable} -m edgecam_core.cli.main"
    outcome = improve_on("trainer", request, [], command, lines.append)
    assert outcome.facts["made_on"] == "trainer"
    assert ModelFile.read(outcome.model).inputs
    assert any(line.startswith("trainer: ") for line in lines)
    assert list((ssh_server / ".cache" / "edgecam").iterdir()) == []
    (tmp_path / "user").unlink()
    with pytest.raises(RemoteError, match=r"trainer cannot be reached.*Permission denied.*without a password"):
        improve_on("trainer", request, [], command, silent)


def test_a_machine_that_cannot_help_is_named_with_the_reason(
    model: Path, collection: Path, other_machine: Path, tmp_path: Path
) -> None:
    request = Request(first_frames(collection, tmp_path / "c"), str(model), tmp_path / "run")
    with pytest.raises(RemoteError, match=r"No route to host.*without a password"):
        improve_on("nobody@nowhere", request, [], "edgecam", silent)
    with pytest.raises(RemoteError, match="--on-command"):
        improve_on("me@gpu", request, [], "no-such-edgecam", silent)
    with pytest.raises(RemoteError, match="disk is full"):
        improve_on("me@gpu", request, [], "echo the disk is full >&2; exit 1;", silent)
    with pytest.raises(RemoteError, match="returned no archive"):  # it reports success without a result
        improve_on("me@gpu", request, [], "true", silent)
    with pytest.raises(SettingError, match="user@"):
        improve_on("-oProxyCommand=evil", request, [], "edgecam", silent)
    with pytest.raises(SettingError, match="must be a folder"):
        improve_on("me@gpu", request, [("--old-set", tmp_path / "gone")], "edgecam", silent)
    assert not (tmp_path / "run" / "model.onnx").exists()
