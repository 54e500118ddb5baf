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

"""Runs one improvement, from reviewed frames to a tested model; resumable."""

from __future__ import annotations

import contextlib
import platform
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models import tuning
from edgecam_core.models.store import ModelStore, Version
from edgecam_core.models.zoo import locate
from edgecam_core.types import Detections, Frame

from edgecam_core import cache
from edgecam_training.errors import DatasetError
from edgecam_training.improve import field, precision, recipe, report
from edgecam_training.improve.checkpoint import Checkpoints
from edgecam_training.improve.choice import ALL, choose
from edgecam_training.improve.field import LabelledImage
from edgecam_training.improve.head_trainer import HeadTrainer
from edgecam_training.improve.heads import ClassHeads
from edgecam_training.improve.held_out import TrainingSplit, hold_out
from edgecam_training.improve.judge import Verdict, judge, missing_data
from edgecam_training.improve.measure import (
    Progress,
    above_threshold,
    compare_field,
    compare_old_set,
    count_errors,
    detect,
    false_alarms,
)
from edgecam_training.improve.network import FrozenNetwork


@dataclass(frozen=True)
class Request:
    """``collection``: reviewed frames; ``model``: the live model, as in the detector's parameter ``model``.

    ``old_set`` holds images that the live model handles well; the new model must not be worse there. ``replay`` holds
    training images that preserve this while known labels are corrected; without replay, known labels do not change.
    ``precision`` is the live detector's parameter of this name: both models are tested in that precision.
    ``max_loss`` is the largest allowed drop (0..1) in the AP of a label on the old set; ``max_false_alarms`` the
    allowed increase of wrong boxes of the learned labels per image over the live model. ``output`` is the folder
    of this run; finished stages in it are not repeated. ``train`` is ``heads``, ``all`` or ``auto``, see
    :func:`edgecam_training.improve.choice.choose`.
    """

    collection: Path
    model: str
    output: Path
    old_set: tuple[LabelledImage, ...] = ()
    replay: tuple[LabelledImage, ...] = ()
    max_loss: float = 0.02
    max_false_alarms: float = 0.5
    test_share: float = 0.3
    gap_seconds: float = 2.0
    seed: int = 0
    test_cameras: tuple[str, ...] = ()
    precision: str = "auto"
    train: str = "auto"

    def split(self, images: Sequence[LabelledImage]) -> tuple[list[LabelledImage], list[LabelledImage]]:
        """Training and test images, see :func:`edgecam_training.improve.field.split`."""
        return field.split(images, self.test_share, self.gap_seconds, self.test_cameras)


@dataclass(frozen=True)
class Outcome:
    """``model`` is the new ONNX file, ``facts`` the content of report.json."""

    model: Path
    verdict: Verdict
    facts: dict[str, Any]


def improve(request: Request, progress: Progress) -> Outcome:
    """Train, test and judge a new model; write model and reports to ``request.output``. Blocks for minutes on a CPU.

    Raises:
        CollectionError, DatasetError: no reviewed frames, or none with anything to learn.
        ModelError: the live model has no heads that can be trained.
        CacheError: the output folder cannot be written.
        SettingError, MissingDependency: see :func:`edgecam_training.improve.choice.choose`.
    """
    began = time.monotonic()
    choice = choose(request.train, bool(request.old_set or request.replay))
    progress(str(choice))
    with cache.explained(request.output):
        request.output.mkdir(parents=True, exist_ok=True)
    model = ModelFile.read(locate(request.model))
    labels = _labels(model)
    images = field.reviewed(request.collection)
    if not images:
        raise DatasetError(f"no frame of {request.collection} is reviewed; label some at /label first")
    train, test = request.split(images)
    seen = Counter(label for one in images for label in one.labels)
    if not seen:
        raise DatasetError(
            f"none of the {len(images)} reviewed frames of {request.collection} has a box; label some objects at /label"
        )
    learned = [label for label in sorted(seen) if label not in labels or request.replay]
    if not train:
        raise DatasetError("all reviewed frames are in the test set, none for training; choose fewer --test-camera")
    if not learned:
        what = f"the reviewed frames have only labels that the model already knows ({', '.join(sorted(seen))})"
        raise DatasetError(f"{what}; set --replay to correct them without losing the others")
    progress(f"{len(images)} reviewed frames: {len(train)} for training, {len(test)} for testing")
    missing = missing_data(train, test, [label for label in learned if label not in labels] or learned)
    live = precision.of_live(model, request.precision)
    inputs = recipe.recipe(
        recipe.of_data(model, images, (train, test), request.seed), request.replay, learned, choice.trained
    )
    path = request.output / "model.onnx"
    learning = recipe.learning(path, inputs) or _Training(request, model, train, learned, inputs, path, progress).run()
    exported = _export(path, live, train[0], progress)
    facts: dict[str, Any] = {
        "made": inputs,
        "settings": {
            "test_share": request.test_share,
            "gap_seconds": request.gap_seconds,
            "test_cameras": list(request.test_cameras),
            "max_loss": request.max_loss,
            "max_false_alarms": request.max_false_alarms,
            "precision": live,
            "train": request.train,
        },
        "choice": str(choice),
        "machine": platform.platform(),
        "labels": {"known": list(labels), "learned": learned, "reviewed_boxes": dict(seen)},
        "learning": learning,
    }

    def both(images: Sequence[LabelledImage]) -> tuple[list[Detections], list[Detections]]:
        return detect(str(model.path), images, progress, live), detect(str(exported), images, progress)

    progress("testing both models on the test frames")
    old_found, new_found = both(test)
    facts["field"], difference = compare_field(old_found, new_found, test, sorted(seen), request.seed)
    alarms = {name: false_alarms(found, test, learned) for name, found in (("old", old_found), ("new", new_found))}
    facts["field"]["false_alarms"] = alarms
    facts["old_set"], before, after = compare_old_set(both, request.old_set, labels)
    verdict = judge(
        missing, difference, before, after, request.max_loss, (alarms["old"], alarms["new"]), request.max_false_alarms
    )
    facts["verdict"] = asdict(verdict)
    recipe.attach_report(path, facts)
    facts["exported"] = {"file": exported.name, "precision": live, "sha256": ModelFile.read(exported).sha256}
    facts["seconds"] = round(time.monotonic() - began, 1)
    order = np.argsort(
        [-count_errors(found, truth) for found, truth in zip(new_found, test, strict=True)], kind="stable"
    )
    report.write_json(request.output / "report.json", facts)
    visible = [[above_threshold(one) for one in found] for found in (old_found, new_found)]
    report.write_html(request.output / "report.html", facts, test, visible[0], visible[1], order.tolist())
    return Outcome(path, verdict, facts)


def store(outcome: Outcome, request: Request, name: str, models: ModelStore) -> Version:
    """Store the model, its reports and its verdict; refused models are stored, too."""
    reports = [request.output / "report.json", request.output / "report.html"]
    note = "passed" if outcome.verdict.passed else "refused: " + outcome.verdict.reasons[0]
    stored = models.add(outcome.model, name, reports, note=note, passed=outcome.verdict.passed, **outcome.facts["made"])
    if exported := outcome.facts.get("exported"):
        # A class more hardly changes the speed: detectors run the new model as they have measured for the live one.
        with contextlib.suppress(cache.CacheError):  # then they measure again
            parent = outcome.facts["made"]["parent"]
            tuning.carry_over(parent, ModelFile.read(stored.path), exported["precision"])
    return stored


def _labels(model: ModelFile) -> list[str]:
    return [str(label) for label in model.fact("labels", [])]


class _Training:
    """Trains one new model and writes it to ``path``."""

    def __init__(
        self,
        request: Request,
        model: ModelFile,
        train: Sequence[LabelledImage],
        learned: Sequence[str],
        inputs: dict[str, Any],
        path: Path,
        progress: Progress,
    ) -> None:
        self._request, self._model, self._train, self._learned = request, model, train, learned
        self._inputs, self._path, self._progress = inputs, path, progress
        self._heads = ClassHeads(model, _labels(model))
        self._network = FrozenNetwork(model, self._heads)
        self._unchecked = path.with_name(f".unchecked-{path.name}")

    def run(self) -> dict[str, Any]:
        """Returns facts about the training for the report."""
        checkpoints = Checkpoints(self._request.output, recipe.key(self._inputs))
        all_weights: dict[str, Any] = {}
        learning = self._all(checkpoints.network, all_weights) if self._inputs["trained"] == ALL else None
        if learning is None:
            learning = self._class_heads(self._train, checkpoints, all_weights)
        self._unchecked.replace(self._path)
        checkpoints.clear()
        return learning

    def _class_heads(
        self, images: Sequence[LabelledImage], checkpoints: Checkpoints, more: dict[str, Any]
    ) -> dict[str, Any]:
        request = self._request
        trainer = HeadTrainer(
            self._heads, self._network, images, request.replay, self._learned, request.gap_seconds, self._progress,
            checkpoints, request.seed,
        )  # fmt: skip
        trained, learning = trainer.train()
        learning |= more
        facts = recipe.metadata(self._inputs, learning)
        cache.write(self._unchecked, self._heads.rebuild(trained.labels, trained.weights, trained.biases, facts))
        precision.check_parity(self._unchecked, trained, _frame(images[0]), self._network)
        return learning

    def _all(self, state: Path, found: dict[str, Any]) -> dict[str, Any] | None:
        """Train all weights, from class heads that have not seen the held-out frames; None if that is not better.

        ``found`` receives facts about it.
        """
        from edgecam_training.improve.network_trainer import NetworkTrainer

        request = self._request
        fit, held = hold_out(self._train, request.gap_seconds)
        replay, replay_held = hold_out(request.replay, request.gap_seconds)
        if not held:
            found["all_weights"] = "class heads only: no frames can be held out, label frames of more moments"
            return None
        known = [label for label in self._learned if label in self._heads.labels]
        apart = Checkpoints(request.output, recipe.key({**self._inputs, "frames": "without those held out"}))
        learning = self._class_heads(fit, apart, {})
        material = TrainingSplit(fit, held, replay, replay_held, self._learned, known)
        trainer = NetworkTrainer(ModelFile.read(self._unchecked), material, self._progress, state, request.seed)
        data, found["all_weights"] = trainer.train()
        if data is None:
            return None
        learning |= found
        cache.write(self._unchecked, recipe.with_metadata(data, recipe.metadata(self._inputs, learning)))
        new = ModelFile.read(self._unchecked)
        precision.check_parity(self._unchecked, ClassHeads(new, _labels(new)), _frame(fit[0]))
        return learning


def _export(path: Path, live: str, image: LabelledImage, progress: Progress) -> Path:
    """The new model in the precision of the live one, checked for parity."""
    model = ModelFile.read(path)
    if live != model.precision:
        progress(f"exporting the model in {live}")
    exported = precision.export(model, live)
    if exported != path:
        precision.check_parity(exported, ClassHeads(model, _labels(model)), _frame(image))
    return exported


def _frame(image: LabelledImage) -> Frame:
    return Frame.from_array(image.pixels(), "bgr8")
