"""A finished review starts an improvement; a model that passes waits for approval, and nothing is deployed."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.records import DRAFT, REVIEWED, SKIPPED, Box, KeptFrame, Review
from edgecam_core.errors import ModelError, SettingError
from edgecam_core.models import proposal
from edgecam_core.models.store import ModelStore
from edgecam_training.cli.improve import add_arguments, run
from edgecam_training.errors import DatasetError
from edgecam_training.improve import field
from edgecam_training.improve.improve import Outcome, Request
from edgecam_training.improve.judge import Verdict
from edgecam_training.improve.measure import Progress
from edgecam_training.improve.watch import Watch
from full_disk import files_of_at_most
from tiny_models import color_detector


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    kept = Collection.create(tmp_path / "c")
    for name in ("a", "b"):
        frame = KeptFrame(name, f"images/{name}.jpg", 64, 48, 1, "lens", "front", (), ())
        kept.add(frame, cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes())
    return kept


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    store = ModelStore(tmp_path / "store")
    store.add(color_detector(tmp_path / "live.onnx"), "door")
    store.deploy("door")
    return store


class Improving:
    """Replaces the training, which test_improve.py tests; counts its calls."""

    def __init__(self, folder: Path, passed: bool = True) -> None:
        self.folder, self.passed = folder, passed
        self.calls = 0
        self.problem: BaseException | None = None

    def __call__(self, request: Request, progress: Progress) -> Outcome:
        self.calls += 1
        progress("learning level 1 of 6")
        if self.problem is not None:
            raise self.problem
        request.output.mkdir(exist_ok=True)
        for name in ("report.json", "report.html"):
            (request.output / name).write_text("{}")
        facts = {
            "made": {"data": field.fingerprint(field.reviewed(request.collection))},
            "labels": {"learned": ["pig"]},
            "field": {
                "images": 12,
                "old": "0.0",
                "new": "70.0",
                "difference": "70.0",
                "false_alarms": {"old": 0.0, "new": 0.25},
            },
        }
        verdict = Verdict(self.passed, True, ("better by 70 points" if self.passed else "not better",))
        return Outcome(color_detector(self.folder / "new.onnx", size=16), verdict, facts)


def watching(collection: Collection, store: ModelStore, work: Improving) -> tuple[Watch, list[str]]:
    lines: list[str] = []
    request = Request(collection.root, "store:door", collection.root.parent / "run")
    return Watch(request, "door", store, work, lines.append), lines


def finish(collection: Collection) -> None:
    collection.save_review(Review("a", REVIEWED, (Box("pig", (1.0, 2.0, 30.0, 40.0)),)))
    collection.save_review(Review("b", SKIPPED))


def test_only_a_finished_review_starts_it_and_once(collection: Collection, store: ModelStore, tmp_path: Path) -> None:
    work = Improving(tmp_path)
    watch, lines = watching(collection, store, work)
    assert not watch.once()
    collection.save_review(Review("a", REVIEWED, (Box("pig", (1.0, 2.0, 30.0, 40.0)),)))
    assert not watch.once()
    draft = collection.save_review(Review("b", DRAFT))
    assert not watch.once()
    collection.save_review(Review("b", SKIPPED, revision=draft.revision))
    assert watch.once()
    offered = proposal.read(store, "door")
    assert offered is not None
    assert (offered.state, offered.version, offered.text) == (proposal.PENDING, 2, "better by 70 points")
    assert offered.figures["wrong_boxes_after"] == 0.25
    assert offered.report == store.version("door", 2).folder / "report.html"
    assert store.version("door").number == 1  # nothing is deployed without an approval
    assert "door: working: learning level 1 of 6" in lines
    again, _ = watching(collection, store, work)  # also after a restart
    assert not watch.once()
    assert not again.once()
    assert work.calls == 1
    assert proposal.approve(store, "door", offered.version, offered.sha256).number == 2
    assert not watch.once()
    review = collection.review("a")
    assert review is not None
    collection.save_review(Review("a", REVIEWED, (Box("pig", (1.0, 2.0, 31.0, 40.0)),), revision=review.revision))
    assert watch.once()


def test_a_model_that_the_gate_refused_cannot_be_approved(
    collection: Collection, store: ModelStore, tmp_path: Path
) -> None:
    watch, _ = watching(collection, store, Improving(tmp_path, passed=False))
    finish(collection)
    assert watch.once()
    offered = proposal.read(store, "door")
    assert offered is not None
    assert (offered.state, offered.text) == (proposal.REFUSED, "not better")
    with pytest.raises(ModelError, match="not better"):
        proposal.approve(store, "door", offered.version, offered.sha256)


def test_a_failure_is_reported_and_the_watch_continues(
    collection: Collection, store: ModelStore, tmp_path: Path
) -> None:
    work = Improving(tmp_path)
    watch, _ = watching(collection, store, work)
    work.problem = DatasetError("nothing to learn")
    finish(collection)
    assert watch.once()
    found = proposal.read(store, "door")
    assert found is not None
    assert (found.state, found.text) == (proposal.FAILED, "nothing to learn")
    work.problem = KeyboardInterrupt()
    review = collection.review("a")
    assert review is not None
    collection.save_review(Review("a", REVIEWED, (), revision=review.revision))
    with pytest.raises(KeyboardInterrupt):
        watch.once()
    found = proposal.read(store, "door")
    assert found is not None
    assert found.state == proposal.FAILED


class StopWatching(Exception):
    """Ends the watch, which otherwise runs until it is interrupted."""


def test_a_full_disk_is_reported_and_the_review_is_used_once_there_is_space(
    collection: Collection, store: ModelStore, tmp_path: Path
) -> None:
    finish(collection)
    lines: list[str] = []
    disk = ExitStack()

    def say(text: str) -> None:
        lines.append(text)
        if "trying again" in text:
            disk.close()  # free some space
        if "pending" in text:
            raise StopWatching

    watch = Watch(Request(collection.root, "store:door", tmp_path / "run"), "door", store, Improving(tmp_path), say)
    disk.enter_context(files_of_at_most(10))
    with disk, pytest.raises(StopWatching):
        watch.run(period=0.0, retry=0.0)
    assert [text for text in lines if "trying again" in text] == lines[:1]
    assert "the disk is full; free some space" in lines[0]
    offered = proposal.read(store, "door")
    assert offered is not None
    assert (offered.state, offered.version) == (proposal.PENDING, 2)
    assert store.version("door").number == 1


def test_a_review_with_nothing_but_skipped_frames_starts_nothing(
    collection: Collection, store: ModelStore, tmp_path: Path
) -> None:
    work = Improving(tmp_path)
    watch, _ = watching(collection, store, work)
    for name in ("a", "b"):
        collection.save_review(Review(name, SKIPPED))
    assert not watch.once()
    gone = Watch(Request(tmp_path / "none", "store:door", tmp_path / "run"), "door", store, work, print)
    assert not gone.once()
    assert work.calls == 0
    assert proposal.read(store, "door") is None


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--watch"], "needs --store NAME"),
        (["--watch", "--store", "door", "--deploy"], "waits for approval"),
        (["--gap-seconds", "-1"], "must not be negative"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(tmp_path: Path, words: list[str], text: str) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(SettingError, match=text):
        run(parser.parse_args([str(tmp_path), *words]))


def test_a_model_that_is_not_deployed_ends_the_watch_at_once(
    tmp_path: Path, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECAM_MODELS", str(store.root))
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(ModelError, match="there is no model 'window'"):
        run(parser.parse_args([str(tmp_path), "--watch", "--model", "store:window"]))
