"""One training run: data, network and loop, with everything that is needed to go on after a stop."""

from __future__ import annotations

import copy
import math
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from edgecam_core.errors import SettingError
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from edgecam_training.data.dataset import Dataset
from edgecam_training.data.picture_cache import PictureCache
from edgecam_training.errors import CheckpointError, TrainingError
from edgecam_training.models.loss import Losses, Targets, multibox_loss
from edgecam_training.train import checkpoint
from edgecam_training.train.augment import Augmentation, augment, step_generator
from edgecam_training.train.distributed import World
from edgecam_training.train.log import RunLog
from edgecam_training.train.optimise import Average, build_optimizer, freeze, frozen_to_eval, set_rate
from edgecam_training.train.settings import TrainSettings
from edgecam_training.train.start import starting_model
from edgecam_training.train.validate import normalise, validate

_PULSE = 20  # steps between looks at the GPU: for a stop, for a loss that is no number


@dataclass
class Progress:
    """Where a run is. ``step`` counts steps inside ``epoch``; ``best`` is the best mAP so far."""

    epoch: int = 0
    step: int = 0
    best: float = -1.0
    since_best: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


class Trainer:
    """Trains one network. Call :meth:`run`; one thread.

    Raises (construction):
        SettingError, CheckpointError, DatasetError: see :func:`starting_model` and :class:`PictureCache`.
    """

    def __init__(self, settings: TrainSettings, dataset: Dataset, world: World, log: RunLog) -> None:
        self.settings, self.world, self.log = settings, world, log
        self.classes = dataset.classes
        self.output = Path(settings.output)
        self._determinism()
        model, origin = starting_model(settings, self.classes)
        log(f"{settings.model}, {origin}")
        self.model = model.to(world.device, memory_format=torch.channels_last)
        freeze(self.model, settings.freeze)
        self.optimizer = build_optimizer(self.model, settings)
        self.average = Average(self.model, settings.ema) if settings.ema else None
        self._type = _precision(settings.precision, world.device)
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=self._type is torch.float16)
        side = settings.side or round(self.model.size * 1.25)
        self.train_data = self._load(dataset.split("train"), side, exact=False)
        has_val = "val" in dataset.counts()
        scores = has_val and world.leads
        self.val_data = self._load(dataset.split("val"), self.model.size, exact=True) if scores else None
        self.has_val = has_val
        self.steps = max(1, len(self.train_data) // (settings.batch * world.size))
        self.progress = Progress()
        self._stop = threading.Event()
        self._forward = self._wrapped()
        self._how = Augmentation(settings.zoom_out, settings.crop, settings.flip, settings.color)

    def _determinism(self) -> None:
        torch.backends.cudnn.benchmark = not self.settings.deterministic
        torch.backends.cudnn.deterministic = self.settings.deterministic

    def _load(self, dataset: Dataset, side: int, exact: bool) -> PictureCache:
        cache = PictureCache.build(dataset, side, exact=exact)
        if cache.broken:
            self.log(f"{len(cache.broken)} pictures cannot be read and are left out, first {cache.broken[0]}")
        return cache.on(self.world.device)

    def _wrapped(self) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        forward: Any = self.model
        if self.world.size > 1:
            ids = [self.world.device.index] if self.world.device.type == "cuda" else None
            forward = DistributedDataParallel(forward, device_ids=ids)
        return torch.compile(forward) if self.settings.compile else forward

    # -- running -------------------------------------------------------------------------------------------

    def run(self) -> Progress:
        """Train to the end, to the early stop, or to SIGINT/SIGTERM; blocks. Everything is saved on return.

        Raises:
            TrainingError: the loss is no number any more; the batch is saved beside the last checkpoint.
        """
        with _signals(self._stop):
            while self.progress.epoch < self.settings.epochs and not self._too_long():
                if not self._epoch():
                    self._save("last.pt")
                    self.log(f"stopped in epoch {self.progress.epoch + 1}; go on with --resume {self.output}")
                    return self.progress
        return self.progress

    def _too_long(self) -> bool:
        patience = self.settings.patience
        return bool(patience and self.progress.since_best >= patience)

    def _epoch(self) -> bool:
        """One epoch, or the rest of one; False where it was interrupted."""
        self.model.train()
        frozen_to_eval(self.model, self.settings.freeze)
        begin, first = time.perf_counter(), self.progress.step
        total = torch.zeros(4, device=self.world.device)  # sums of three losses, and whether any was no number
        order = self._order()
        rate = 0.0
        for step in range(first, self.steps):
            rate = set_rate(self.optimizer, self.settings, self.progress.epoch * self.steps + step, self.steps)
            losses = self._step(order, step)
            parts = torch.stack([losses.total, losses.classes, losses.boxes]).detach()
            total[:3] += parts
            total[3] = torch.maximum(total[3], (~torch.isfinite(parts[0])).float())
            self.progress.step = step + 1
            if self._must_stop(step, total):
                return False
        self._close_epoch(total[:3] / max(1, self.steps - first), rate, (self.steps - first, begin))
        return True

    def _must_stop(self, step: int, total: Tensor) -> bool:
        """Look at the device now and then, all processes at the same step."""
        if step % (_PULSE if self.world.device.type == "cuda" else 1) and step + 1 < self.steps:
            return False
        state = self.world.most(torch.stack([total[3], total.new_tensor(float(self._stop.is_set()))]))
        bad, stop = state.tolist()
        if bad:
            self._report_bad(step)
        return bool(stop) and step + 1 < self.steps

    def _step(self, order: Tensor, step: int) -> Losses:
        pictures, targets = self.batch(order, step)
        with torch.autocast(self.world.device.type, self._type, enabled=self._type is not torch.float32):
            logits, offsets = self._forward(pictures)
        losses = multibox_loss(logits, offsets, targets, self.model.priors, self.settings.smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(losses.total).backward()
        if self.settings.clip:
            self.scaler.unscale_(self.optimizer)
            learning = [p for group in self.optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(learning, self.settings.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average:
            self.average.update(self.progress.epoch * self.steps + step)
        return losses

    def _order(self) -> Tensor:
        """This process's pictures of this epoch, (steps, batch); the same after every restart."""
        generator = step_generator(self.settings.seed, self.progress.epoch, -1, -1)
        count = len(self.train_data)
        needed = self.steps * self.settings.batch * self.world.size
        order = torch.cat([torch.randperm(count, generator=generator) for _ in range(math.ceil(needed / count))])
        return order[:needed].view(self.steps, self.world.size, self.settings.batch)[:, self.world.rank]

    def batch(self, order: Tensor, step: int) -> tuple[Tensor, Targets]:
        """The augmented, normalised batch of a step; a function of seed, epoch, step and rank alone."""
        rows, data = order[step], self.train_data
        pictures = data.pictures[rows.to(data.pictures.device)].to(self.world.device, non_blocking=True)
        rows = rows.to(self.world.device)
        generator = step_generator(self.settings.seed, self.progress.epoch, step, self.world.rank)
        targets = Targets(data.boxes[rows], data.labels[rows])
        pixels, moved = augment(pictures, targets, self.model.size, self._how, generator)
        return normalise(pixels, self.model), moved

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
        if self.has_val and due:
            entry |= self._evaluate()
        self.progress.history.append(entry)
        self._save("last.pt")
        if self.progress.since_best == 0 or not self.has_val:
            self._save("best.pt")
        self.log.scalars(entry, self.progress.epoch)
        self.log(", ".join(f"{key} {value:.4g}" for key, value in entry.items()))

    def _evaluate(self) -> dict[str, float]:
        found = torch.zeros(2, device=self.world.device)
        if self.val_data is not None:
            scores = validate(self.averaged(), self.val_data)
            found = torch.tensor([scores.map50, scores.map], device=self.world.device).nan_to_num(-1.0)
        map50, whole = self.world.most(found).tolist()
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

    def _save(self, name: str) -> None:
        if not self.world.leads:
            return
        progress = self.progress
        checkpoint.save(
            self.output / name,
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
        )
        (self.output / "labels.txt").write_text("\n".join(["BACKGROUND", *self.classes]) + "\n")

    def resume(self, path: Path) -> None:
        """Go on where a checkpoint stopped: same order, same augmentation, same schedule.

        Raises:
            CheckpointError: of other classes, another network, batch or number of processes.
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
            order = self._order()
            first = step - step % _PULSE if self.world.device.type == "cuda" else step
            rows = order[max(0, first - _PULSE + 1) : step + 1].flatten()
            paths = [str(self.train_data.samples[row].path) for row in rows.tolist()]
            pictures, targets = self.batch(order, step)
            checkpoint.save(
                file,
                {"epoch": self.progress.epoch, "step": step, "paths": paths, "pictures": pictures.cpu(),
                 "boxes": targets.boxes.cpu(), "labels": targets.labels.cpu()},
            )  # fmt: skip
        raise TrainingError(
            f"the loss is not a number in epoch {self.progress.epoch + 1}, step {step + 1}; the batch is in {file}, "
            f"the last good weights in {self.output / 'last.pt'}. A lower learning_rate or precision=fp32 usually helps"
        )


def _precision(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        if device.type != "cuda":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[name]


class _signals:
    """While open, SIGINT and SIGTERM set an event; a second SIGINT ends the process as usual."""

    def __init__(self, event: threading.Event) -> None:
        self.event = event
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.event.set()
        signal.signal(number, self._before[number])

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
