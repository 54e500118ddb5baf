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

"""One training run: data, network and loop, and everything needed to resume after a stop."""

from __future__ import annotations

import copy
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from edgecam_core.errors import SettingError
from torch import Tensor

from edgecam_training.data.dataset import Dataset
from edgecam_training.errors import CheckpointError, TrainingError
from edgecam_training.train import checkpoint
from edgecam_training.train.augment import draw
from edgecam_training.train.batches import Batches
from edgecam_training.train.distributed import World
from edgecam_training.train.images import Images, decode, has_boxes, kept_side
from edgecam_training.train.interrupt import stops
from edgecam_training.train.log import RunLog
from edgecam_training.train.optimise import Average, build_optimizer, freeze, frozen_to_eval, set_rate
from edgecam_training.train.settings import TrainSettings
from edgecam_training.train.start import starting_model
from edgecam_training.train.step import Step
from edgecam_training.train.validate import validate_aside

_SAVE_EVERY = 5.0  # seconds between checkpoints of epochs that are not evaluated
_PULSE = 20  # steps between checks of the GPU: stop requested, loss not finite


@dataclass
class Progress:
    """The progress of a run. ``step`` counts steps within ``epoch``; ``best`` is the best mAP so far."""

    epoch: int = 0
    step: int = 0
    best: float = -1.0
    since_best: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


class Trainer:
    """Trains one network. Call :meth:`run` once. Not thread-safe. ``images`` are decoded here if they are not given.

    Raises (construction):
        SettingError, CheckpointError, DatasetError: see :func:`starting_model` and :func:`decode`.
    """

    def __init__(
        self,
        settings: TrainSettings,
        dataset: Dataset,
        world: World,
        log: RunLog,
        resume: Path | None = None,
        images: Images | None = None,
    ) -> None:
        self.settings, self.world, self.log = settings, world, log
        self.classes = dataset.classes
        self.output = Path(settings.output)
        # cudnn.benchmark stays off: it costs half a minute at the start and gains one percent.
        torch.backends.cudnn.deterministic = settings.deterministic
        # A resumed run needs no initial weights: its checkpoint has them.
        model, origin = starting_model(settings.changed(init="random") if resume else settings, self.classes)
        log(f"{settings.model}, weights of {resume}" if resume else f"{settings.model}, {origin}")
        self.model = model.to(world.device, memory_format=torch.channels_last)
        freeze(self.model, settings.freeze)
        self.optimizer = build_optimizer(self.model, settings)
        self.average = Average(self.model, settings.ema) if settings.ema else None
        self.step = Step(self.model, settings, world.device)
        self.scaler = self.step.scaler
        frozen_to_eval(self.model, settings.freeze)  # before the step is captured
        decoded = (images or decode(dataset, settings, world.leads, log)).on(world.device)
        self.val_data = decoded.val
        self.step.prepare(settings.batch, kept_side(settings), decoded.train.labels.shape[1])
        self.has_val = has_boxes(dataset, "val")
        self.batches = Batches(decoded.train, settings, world)
        self.steps = self.batches.steps
        self.progress = Progress()
        self._stop = threading.Event()
        self._saved = 0.0
        self._saver = checkpoint.Saver()
        # Validation has its own thread, which loads and plans its convolutions during the first epochs.
        self._scorer = ThreadPoolExecutor(1, "scorer")
        if self.val_data is not None and world.device.type == "cuda":
            self._scorer.submit(validate_aside, self.averaged(), self.val_data)
        if resume:
            self.resume(resume)

    # -- running -------------------------------------------------------------------------------------------

    def run(self) -> Progress:
        """Train until the last epoch, the early stop, or SIGINT/SIGTERM. Blocks. Everything is saved on return.

        Raises:
            TrainingError: the loss is not finite; the batch is saved next to the last checkpoint.
        """
        try:
            with stops(self._stop):
                while self.progress.epoch < self.settings.epochs and not self._out_of_patience():
                    if not self._epoch():
                        self._save("last.pt")
                        self.log(f"stopped in epoch {self.progress.epoch + 1}; continue with --resume {self.output}")
                        if not self.progress.epoch or (self.has_val and self.progress.best < 0):
                            last = self.output / "last.pt"
                            self.log(f"not evaluated yet: there is no best.pt, the weights are in {last}")
                        break
            self._saver.wait()
        finally:
            self._saver.close()
            self._scorer.shutdown()
        return self.progress

    def _out_of_patience(self) -> bool:
        patience = self.settings.patience
        return bool(patience and self.progress.since_best >= patience)

    def _epoch(self) -> bool:
        """Run one epoch, or the rest of it after a restart. Returns False if it was interrupted."""
        self.model.train()
        frozen_to_eval(self.model, self.settings.freeze)
        begin, first = time.perf_counter(), self.progress.step
        total = torch.zeros(4, device=self.world.device)  # sums of three losses, and whether any was not finite
        order = self.batches.order(self.progress.epoch)
        rate = 0.0
        for step in range(first, self.steps):
            rate = set_rate(self.optimizer, self.settings, self.progress.epoch * self.steps + step, self.steps)
            parts = self._step(order[step], step)
            total[:3] += parts
            total[3] = torch.maximum(total[3], (~torch.isfinite(parts[0])).float())
            self.progress.step = step + 1
            if self._must_stop(step, total):
                return False
        self._close_epoch(total[:3] / max(1, self.steps - first), rate, (self.steps - first, begin))
        return True

    def _must_stop(self, step: int, total: Tensor) -> bool:
        """Check for a stop or a bad loss, every few steps, in all processes at the same step."""
        if step % (_PULSE if self.world.device.type == "cuda" else 1) and step + 1 < self.steps:
            return False
        state = self.world.maximum(torch.stack([total[3], total.new_tensor(float(self._stop.is_set()))]))
        bad, stop = state.tolist()
        if bad:
            self._report_bad(step)
        return bool(stop) and step + 1 < self.steps

    def _step(self, rows: Tensor, step: int) -> Tensor:
        """One optimiser step; returns the losses, see :class:`Step`."""
        losses = self.step(*self.batches.batch(rows), self.batches.generator(self.progress.epoch, step))
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.world.average([p.grad for p in trained if p.grad is not None])
        if self.settings.clip:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(trained, self.settings.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average:
            self.average.update(self.progress.epoch * self.steps + step)
        return losses

    # -- ends of epochs ------------------------------------------------------------------------------------

    def _close_epoch(self, losses: Tensor, rate: float, work: tuple[int, float]) -> None:
        total, classes, boxes = losses.tolist()  # waits for the device
        steps, begin = work
        seconds = time.perf_counter() - begin
        entry = {
            "epoch": self.progress.epoch + 1, "loss": total, "class_loss": classes, "box_loss": boxes, "rate": rate,
            "images_per_second": steps * self.settings.batch * self.world.size / seconds,
        }  # fmt: skip
        self.progress.epoch += 1
        self.progress.step = 0
        due = self.progress.epoch % self.settings.evaluate_every == 0 or self.progress.epoch == self.settings.epochs
        best = not self.has_val
        if self.has_val and due:
            entry |= self._evaluate()
            best = self.progress.since_best == 0
        self.progress.history.append(entry)
        if due or time.monotonic() - self._saved > _SAVE_EVERY:
            self._save("last.pt", *["best.pt"] * best)
        self.log.scalars(entry, self.progress.epoch)
        self.log(", ".join(f"{key} {value:.4g}" for key, value in entry.items()))

    def _evaluate(self) -> dict[str, float]:
        found = torch.zeros(2, device=self.world.device)
        if self.val_data is not None:
            scores = self._scorer.submit(validate_aside, self.averaged(), self.val_data).result()
            found = torch.tensor([scores.map50, scores.map], device=self.world.device).nan_to_num(-1.0)
        map50, whole = self.world.maximum(found).tolist()
        better = map50 > self.progress.best
        self.progress.best = max(map50, self.progress.best)
        self.progress.since_best = 0 if better else self.progress.since_best + 1
        return {"map50": map50, "map": whole}

    def averaged(self) -> Any:
        """A copy of the network with the averaged weights, in eval mode."""
        model = copy.deepcopy(self.model).eval()
        if self.average:
            model.load_state_dict(self.average.state)
        return model

    # -- saving --------------------------------------------------------------------------------------------

    def _save(self, *names: str) -> None:
        self._saved = time.monotonic()
        if not self.world.leads:
            return
        progress = self.progress
        self._saver.save(
            {
                "model": self.settings.model,
                "classes": list(self.classes),
                "settings": {key: list(v) if isinstance(v, tuple) else v for key, v in self.settings.as_dict().items()},
                "state": self.model.state_dict(),
                "ema": self.average.state if self.average else None,
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
                "progress": {**vars(progress), "history": [dict(entry) for entry in progress.history]},
                "world": self.world.size,
            },
            *(self.output / name for name in names),
        )
        self.output.mkdir(parents=True, exist_ok=True)
        (self.output / "labels.txt").write_text("\n".join(["BACKGROUND", *self.classes]) + "\n")

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint, with the same order, augmentation and schedule.

        Raises:
            CheckpointError: other classes, another network or number of processes.
            SettingError: another batch size.
        """
        content = checkpoint.read(path)
        own = {
            "classes": list(self.classes), "model": self.settings.model, "world": self.world.size,
        }  # fmt: skip
        for key, value in own.items():
            if content.get(key) != value:
                raise CheckpointError(f"checkpoint '{path}': its {key} is {content.get(key)}, this run's is {value}")
        if content["settings"]["batch"] != self.settings.batch:
            raise SettingError("batch", self.settings.batch, f"the run to resume has {content['settings']['batch']}")
        self.model.load_state_dict(content["state"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.scaler.load_state_dict(content["scaler"])
        if self.average and content["ema"]:
            for key, value in content["ema"].items():
                self.average.state[key].copy_(value)
        self.progress = Progress(**content["progress"])
        self.log(f"resumed after {self.progress.epoch} epochs and {self.progress.step} steps")

    def _report_bad(self, step: int) -> None:
        file = self.output / "bad-batch.pt"
        if self.world.leads:
            epoch = self.progress.epoch
            order = self.batches.order(epoch)
            first = step - step % _PULSE if self.world.device.type == "cuda" else step
            rows = order[max(0, first - _PULSE + 1) : step + 1].flatten()
            paths = [str(self.batches.data.samples[row].path) for row in rows.tolist()]
            kept, boxes = self.batches.batch(order[step])
            chance = [item.to(self.world.device) for item in draw(len(kept), self.batches.generator(epoch, step))]
            images, targets = self.step.batch(kept, boxes, *chance)
            checkpoint.save(
                file,
                {"epoch": self.progress.epoch, "step": step, "paths": paths, "images": images.cpu(),
                 "boxes": targets.boxes.cpu(), "labels": targets.labels.cpu()},
            )  # fmt: skip
        raise TrainingError(
            f"the loss is not finite in epoch {self.progress.epoch + 1}, step {step + 1}; the batch is in {file}, "
            f"the last good weights in {self.output / 'last.pt'}. A lower learning_rate or precision=fp32 usually helps"
        )
