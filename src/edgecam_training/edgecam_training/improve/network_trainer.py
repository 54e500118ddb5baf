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

"""Trains all weights of a network, starting from a model with trained class heads; resumable.

After each round the network is tested on held-out frames. The best round is kept, and the class heads alone if none is
better than they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from edgecam_core.errors import ModelError
from edgecam_core.files import descriptor_path, in_memory
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models.family import open_family
from torch import Tensor
from torch.func import functional_call

from edgecam_training.data.image_cache import ImageCache
from edgecam_training.errors import CheckpointError, DatasetError, TrainingError
from edgecam_training.improve import calibrate, network_data, ranges
from edgecam_training.improve.heads import ClassHeads
from edgecam_training.improve.held_out import TrainingSplit, found_in, score
from edgecam_training.improve.learn import Learned
from edgecam_training.improve.measure import Progress
from edgecam_training.improve.network_loss import Output, network_loss
from edgecam_training.improve.statistics import match
from edgecam_training.models.onnx_graph import OnnxGraph, attribute
from edgecam_training.train import checkpoint
from edgecam_training.train.augment import Augmentation, augment, draw, plain
from edgecam_training.train.batches import Batches
from edgecam_training.train.distributed import World
from edgecam_training.train.optimise import Average, build_optimizer, set_rate
from edgecam_training.train.settings import TrainSettings

STEPS = 600  # at least; more if LEAST_EPOCHS have more
LEAST_EPOCHS = 10
ROUNDS = 20
PATIENCE = 6  # rounds without a better result
_PARITY = 1e-3  # largest difference of a score between PyTorch and ONNX Runtime
RATE = 0.001  # a higher learning rate gained as much on new labels, and lost two times as much of the known ones
_SETTINGS = TrainSettings(batch=16, ema=0.98, clip=10.0)


@dataclass
class _TrainingState:
    """``scores`` of the rounds so far; ``best`` are the weights of the best one."""

    start: tuple[float, float]
    scores: list[float]
    best: dict[str, Tensor] | None = None

    @property
    def chosen(self) -> int:
        """Number of the best round, from 1; 0: none is better than the start."""
        top = max(self.scores, default=-1.0)
        return self.scores.index(top) + 1 if top > self.start[0] else 0

    @property
    def finished(self) -> bool:
        return len(self.scores) >= ROUNDS or len(self.scores) - self.chosen >= PATIENCE


class NetworkTrainer:
    """Trains all weights of ``start``, whose class heads are trained.

    On a GPU with CUDA it computes in BF16, elsewhere in FP32.

    Args:
        file: the checkpoint of this run, written after each round.
        seed: seed of the order of images and of the augmentation.

    Raises (construction):
        ModelError: the model has an operator or an input that cannot be trained.
        DatasetError: the images cannot be decoded.
    """

    def __init__(
        self, start: ModelFile, material: TrainingSplit, progress: Progress, file: Path, seed: int = 0
    ) -> None:
        self._start, self._material, self._progress, self._file = start, material, progress, file
        self._labels = [str(label) for label in start.fact("labels", [])]
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._spec = open_family(start).spec
        network_data.check_input(self._spec)
        self._proto = start.proto()
        scores = next(node for node in self._proto.graph.node if "scores" in node.output)
        self._graph = self._module((scores.input[0], "boxes"))
        self._before = self._module((scores.input[0], "boxes")).requires_grad_(False)
        self._priors = self._default_boxes()
        groups = [(material.fit, material.learned), (material.replay, material.known)]
        images, columns = network_data.decode(groups, self._labels, self._spec.width)
        self._images: ImageCache = images.on(self._device)
        self._columns = columns.to(self._device)
        each = max(1, len(images) // _SETTINGS.batch)
        self._epochs = math.ceil(max(STEPS / each, LEAST_EPOCHS) / ROUNDS)  # per round
        self._settings = _SETTINGS.changed(learning_rate=RATE, seed=seed, epochs=self._epochs * ROUNDS)
        self._batches = Batches(self._images, self._settings, World(0, 1, self._device))
        self._optimizer = build_optimizer(self._graph, self._settings)
        self._average = Average(self._graph, self._settings.ema)
        self._how = Augmentation()
        self._bf16 = self._device.type == "cuda" and torch.cuda.is_bf16_supported()

    def _module(self, outputs: Sequence[str]) -> OnnxGraph:
        graph = OnnxGraph(self._proto, outputs)
        return graph.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    @torch.no_grad()
    def _default_boxes(self) -> Tensor:
        """(N, 4) cx cy w h: what the network returns where its box heads return zero."""
        producers = {name: node for node in self._proto.graph.node for name in node.output}
        parameters = dict(self._graph.named_parameters())
        zeros: dict[str, Tensor] = {}
        open_ends = ["boxes"]
        while open_ends:
            node = producers.get(open_ends.pop())
            if node is not None and node.op_type == "Conv":
                zeros |= {name: torch.zeros_like(parameters[name]) for name in map(attribute, node.input[1:])}
            elif node is not None:
                open_ends += node.input
        side = self._spec.width
        boxes = functional_call(self._graph, zeros, (torch.zeros(1, 3, side, side, device=self._device),))[1][0]
        if not (boxes[:, 2:] > boxes[:, :2]).all():
            raise ModelError(
                f"{self._start.path} has anchors without an area; its network cannot be trained. Train the class heads "
                "only (--train heads)"
            )
        return torch.cat([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], dim=1)

    # -- training ------------------------------------------------------------------------------------------

    def train(self) -> tuple[bytes | None, dict[str, Any]]:
        """The trained model without metadata (None if no round was better), and facts for the report. Blocks.

        Raises:
            TrainingError: the loss is not finite.
            DatasetError: ONNX Runtime computes something else than PyTorch.
            CacheError: the checkpoint cannot be written.
        """
        state = self._resumed() or _TrainingState(score(self._proto, self._material, self._progress), [])
        while not state.finished:
            self._round(len(state.scores))
            field, replay = score(self._averaged(self._average.state), self._material, self._progress)
            loss = max(0.0, state.start[1] - replay) if self._material.replay_held else 0.0
            state.scores.append(field - loss)
            if state.chosen == len(state.scores):
                state.best = {name: value.clone() for name, value in self._average.state.items()}
            self._save(state)
            self._progress(f"{self._name(state)}: held-out mAP {100 * field:.1f}, {100 * state.start[0]:.1f} before")
        facts = {
            "frames": len(self._material.fit),
            "held_out_frames": len(self._material.held),
            "replay_images": len(self._material.replay),
            "rounds": len(state.scores),
            "best_round": state.chosen,
            "held_out_before": state.start[0],
            "held_out_after": max(state.scores, default=float("nan")),
        }
        if state.best is None:
            return None, facts
        return self._finished(self._averaged(state.best), facts), facts

    def _name(self, state: _TrainingState) -> str:
        return f"training all weights: round {len(state.scores)} of {ROUNDS}"

    def _round(self, number: int) -> None:
        steps = self._batches.steps
        for epoch in range(number * self._epochs, (number + 1) * self._epochs):
            order = self._batches.order(epoch)
            losses = []
            for step in range(steps):
                set_rate(self._optimizer, self._settings, epoch * steps + step, steps)
                losses.append(self._step(order[step], epoch, step))
                self._average.update(epoch * steps + step)
            loss = torch.stack(losses).mean().item()  # waits for the device
            if not math.isfinite(loss):
                raise TrainingError(f"the loss is not finite in epoch {epoch + 1}; --train heads trains the heads only")
            self._progress(f"training all weights: epoch {epoch + 1} of {self._settings.epochs}, loss {loss:.3f}")

    def _step(self, rows: Tensor, epoch: int, step: int) -> Tensor:
        images, targets = self._batches.batch(rows)
        chance = [item.to(self._device) for item in draw(len(images), self._batches.generator(epoch, step))]
        pixels, targets = augment(images, targets, self._spec.width, self._how, *chance)
        inputs = network_data.normalise(pixels, self._spec).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            with torch.no_grad():
                before = self._before(inputs)
            now = self._graph(inputs)
        new, old = (Output(logits.float(), boxes.float()) for logits, boxes in (now, before))
        loss = network_loss(new, old, targets, self._columns[rows.to(self._device)], self._priors)
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._graph.parameters(), self._settings.clip)
        self._optimizer.step()
        return loss.detach()

    def _averaged(self, weights: dict[str, Tensor]) -> onnx.ModelProto:
        """The model with these weights."""
        graph = self._module(self._graph.outputs)
        graph.load_state_dict(weights)
        proto = onnx.ModelProto()
        proto.CopyFrom(self._proto)
        graph.write_to(proto)
        return proto

    # -- the trained model ---------------------------------------------------------------------------------

    def _finished(self, proto: onnx.ModelProto, facts: dict[str, Any]) -> bytes:
        """The model with measured INT8 ranges, and with the new labels calibrated on the held-out frames."""
        self._check(proto)
        batches = (
            network_data.normalise(plain(images.to(self._device), self._spec.width), self._spec)
            for images in self._images.images.split(_SETTINGS.batch)
        )
        onnx.helper.set_model_props(proto, ranges.measured(proto, batches, self._device))
        found = found_in(proto, self._material.held, self._progress)
        shifts = {}
        for label in self._material.learned:
            hits = match(found, self._material.held, label)
            scores = sorted((score for one in found for name, score, _ in one if name == label), reverse=True)
            value = calibrate.shift(np.array(scores), hits)
            if label not in self._material.known and value is not None:
                shifts[label] = value
        facts["shifts"] = shifts
        with in_memory(proto.SerializeToString()) as file:
            heads = ClassHeads(ModelFile.read(Path(descriptor_path(file))), self._labels)
            own = Learned(tuple(self._labels), heads.weights, heads.biases, {}, {})
            shifted = calibrate.apply_shifts(own, shifts)
            return heads.rebuild(self._labels, shifted.weights, shifted.biases, {})

    @torch.no_grad()
    def _check(self, proto: onnx.ModelProto) -> None:
        """Raise DatasetError if ONNX Runtime does not compute what PyTorch does."""
        import onnxruntime

        pixels = plain(self._images.images[:1].cpu(), self._spec.width)
        inputs = network_data.normalise(pixels, self._spec)
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        theirs = session.run(["scores"], {self._spec.name: inputs.numpy().astype(self._spec.dtype)})[0]
        worst = float(np.abs(OnnxGraph(proto, ["scores"])(inputs)[0].numpy() - theirs).max())
        limit = _PARITY if self._start.precision == "fp32" else 10 * _PARITY
        if not worst <= limit:
            raise DatasetError(f"the scores of the trained network differ by {worst:.2g} in ONNX; please report this")

    # -- checkpoints ---------------------------------------------------------------------------------------

    def _save(self, state: _TrainingState) -> None:
        content = {
            "start": list(state.start),
            "scores": state.scores,
            "best": state.best,
            "state": self._graph.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "average": self._average.state,
        }
        checkpoint.save(self._file, content)

    def _resumed(self) -> _TrainingState | None:
        """The state of an interrupted run; None if there is none, or its file is damaged."""
        try:
            content = checkpoint.read(self._file)
        except CheckpointError:
            return None
        self._graph.load_state_dict(content["state"])
        self._optimizer.load_state_dict(content["optimizer"])
        for name, value in content["average"].items():
            self._average.state[name].copy_(value)
        state = _TrainingState(tuple(content["start"]), content["scores"], content["best"])
        self._progress(f"{self._name(state)}: continued")
        return state
