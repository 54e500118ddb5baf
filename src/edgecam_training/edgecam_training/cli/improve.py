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

"""Improve a model with reviewed frames: train, compare with the live model, decide, store."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("collection", type=Path, help="folder of a collection with reviewed frames")
    parser.add_argument("--model", default="ssd_mobilenet_v2_coco", help="the live model (default %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("runs/improve"), help="folder of this run (%(default)s)")
    parser.add_argument("--old-set", type=Path, help="data set with known labels; none may lose more than --max-loss")
    parser.add_argument("--replay", type=Path, help="data set replayed to preserve known labels during correction")
    parser.add_argument(
        "--max-loss", type=float, default=2.0, help="points of AP a label may lose on the old set (%(default)g)"
    )
    parser.add_argument(
        "--max-false-alarms", type=float, default=0.5, metavar="BOXES",
        help="wrong boxes of the learned labels per image at score 0.5, above those of the live model (%(default)g)",
    )  # fmt: skip
    parser.add_argument("--test-share", type=float, default=0.3, help="share of frames used for testing (%(default)g)")
    parser.add_argument(
        "--gap-seconds", type=float, default=2.0, help="frames closer than this stay in the same split (%(default)g)"
    )
    parser.add_argument(
        "--test-camera", metavar="CAMERA", action="append", default=[],
        help="use all frames of this camera for testing, none for training; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--precision", choices=("auto", "fp32", "fp16", "int8"), default="auto",
        help="the live detector's parameter precision: both models are tested in it, and the new one is exported in it "
        "(default auto: what the detector on this machine measured to be fastest, else that of the model file)",
    )  # fmt: skip
    parser.add_argument(
        "--train", choices=("auto", "heads", "all"), default="auto",
        help="train the class heads, on any CPU in minutes, or all weights, with PyTorch and a GPU (on a CPU: hours) "
        "(default auto: all with --old-set or --replay where PyTorch finds CUDA; with --on, the other machine decides)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="random seed (%(default)s)")
    parser.add_argument("--on", metavar="USER@HOST", help="train on another machine over ssh")
    parser.add_argument(
        "--on-command",
        default="edgecam",
        metavar="COMMAND",
        help="command to start edgecam there (%(default)s)",
    )
    parser.add_argument(
        "--store",
        metavar="NAME",
        help="store the model under this name, passed or not (default with --watch: the name in --model)",
    )
    parser.add_argument(
        "--watch", action="store_true",
        help="wait for finished reviews and improve after each; a model that passes is stored and waits for approval "
        "on the web page or by 'edgecam model approve'",
    )  # fmt: skip
    parser.add_argument("--deploy", action="store_true", help="with --store: deploy it if it passed")


def waits_for(arguments: argparse.Namespace) -> str:
    return f"reading the collection {arguments.collection}"


def run(arguments: argparse.Namespace) -> int:
    """Improve a model. Returns 0 if the new model passed, 3 if it was refused."""
    # Must be set before NumPy is loaded. With few columns per matrix, several threads would only wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from edgecam_core.errors import SettingError
    from edgecam_core.models.store import SCHEME, ModelStore, check_name
    from edgecam_core.models.zoo import check_model

    from edgecam_training.data.loading import load
    from edgecam_training.improve import field
    from edgecam_training.improve.improve import Outcome, Request, improve, store
    from edgecam_training.improve.measure import Progress
    from edgecam_training.improve.remote import improve_on
    from edgecam_training.improve.watch import Watch

    if arguments.watch and not arguments.store and arguments.model.startswith(SCHEME):
        arguments.store = arguments.model.removeprefix(SCHEME).partition("@")[0]
    for name in ("deploy", "watch"):
        if getattr(arguments, name) and not arguments.store:
            raise SettingError(name, True, "needs --store NAME")
    if arguments.deploy and arguments.watch:
        raise SettingError("deploy", True, "cannot be used with --watch, which waits for approval of each deployment")
    if not 0.05 <= arguments.test_share <= 0.95:
        raise SettingError("test-share", arguments.test_share, "must be 0.05 to 0.95")
    for name in ("gap_seconds", "max_loss", "max_false_alarms", "seed"):
        if not getattr(arguments, name) >= 0:
            raise SettingError(name.replace("_", "-"), getattr(arguments, name), "must not be negative")
    # With --on, the other machine reads them.
    old_set, replay = (
        ((), ())
        if arguments.on
        else (tuple(field.from_dataset(load(path))) if path else () for path in (arguments.old_set, arguments.replay))
    )
    request = Request(
        arguments.collection.expanduser(),
        arguments.model,
        arguments.output.expanduser(),
        old_set,
        replay,
        arguments.max_loss / 100,
        arguments.max_false_alarms,
        arguments.test_share,
        arguments.gap_seconds,
        arguments.seed,
        tuple(arguments.test_camera),
        arguments.precision,
        arguments.train,
    )
    pairs = (("--old-set", arguments.old_set), ("--replay", arguments.replay))
    folders = [(option, path) for option, path in pairs if path]

    def work(request: Request, progress: Progress) -> Outcome:
        if arguments.on:
            return improve_on(arguments.on, request, folders, arguments.on_command, progress)
        return improve(request, progress)

    if arguments.watch:
        check_name(arguments.store)
        check_model(arguments.model)
        print(f"waiting for finished reviews of {arguments.collection}; stop with Ctrl-C", flush=True)
        Watch(request, arguments.store, ModelStore(), work, lambda text: print(text, flush=True)).run()
    outcome = work(request, _ProgressLine())
    facts = outcome.facts["field"]
    print(outcome.facts["choice"])
    print(f"field test, {facts['images']} frames: {facts['old']} before, {facts['new']} after, {facts['difference']}")
    alarms = facts["false_alarms"]
    print(
        f"wrong boxes of learned labels at score 0.5: {alarms['old']:.2f} per frame before, {alarms['new']:.2f} after"
    )
    for name, group in (("field", facts["labels"]), ("old set", outcome.facts["old_set"]["labels"])):
        for label, row in group.items():
            print(f"  {name}: {label:20} {row['boxes']:4} boxes  {row['old_interval']} -> {row['new_interval']}")
    for reason in outcome.verdict.reasons:
        print(("passed: " if outcome.verdict.passed else "refused: ") + reason)
    print(f"report: {arguments.output / 'report.html'}")
    if arguments.store:
        models = ModelStore()
        version = store(outcome, request, arguments.store, models)
        print(f"stored as {version.name} version {version.number}")
        if arguments.deploy and outcome.verdict.passed:
            models.deploy(version.name, version.number)
            print(f"deployed; detectors with model:=store:{version.name} switch to it")
    return 0 if outcome.verdict.passed else 3


class _ProgressLine:
    """Shows progress on one line of a terminal, else as a line every few seconds."""

    def __init__(self) -> None:
        self._at = float("-inf")

    def __call__(self, text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self._at > 5:
            self._at = time.monotonic()
            print(text, file=sys.stderr, flush=True)
