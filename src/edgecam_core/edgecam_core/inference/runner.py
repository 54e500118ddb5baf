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

"""The interface of all inference back ends: a loaded model with named input and output tensors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from edgecam_core.errors import InferenceError, ModelError

if TYPE_CHECKING:
    from edgecam_core.inference.model_file import ModelFile

Progress = Callable[[str], None]


def silent(_text: str) -> None:
    """A Progress that shows nothing."""


@dataclass(frozen=True)
class TensorSpec:
    """Element type and shape of one input or output; None is a dimension known only at run time."""

    dtype: np.dtype
    shape: tuple[int | None, ...]

    def accepts(self, array: np.ndarray) -> bool:
        """Whether the array has this type and shape."""
        if array.dtype != self.dtype or array.ndim != len(self.shape):
            return False
        return all(size is None or size == actual for size, actual in zip(self.shape, array.shape, strict=True))

    def __str__(self) -> str:
        return f"{self.dtype} [{', '.join('?' if size is None else str(size) for size in self.shape)}]"


class CalibrationImages(Protocol):
    """Images from which a quantiser determines the range of every tensor; ``len()`` is their number."""

    def __len__(self) -> int: ...

    def fingerprint(self) -> str:
        """A hash that changes when any image or its preprocessing changes."""

    def feeds(self) -> Iterator[dict[str, np.ndarray]]:
        """One feed per image: inputs by name."""


@dataclass(frozen=True)
class RunnerOptions:
    """How to load a model. A back end that cannot honour an option raises an error.

    ``precision`` is auto (that of the file), fp32, fp16 or int8. ``device`` is auto, cpu, cuda, or one of a Jetson's
    deep learning accelerators, dla0 or dla1. ``threads`` is for CPU back ends; 0 means one per core. ``streams`` is the
    number of threads that will call :meth:`Runner.infer` at a time, if the back end allows more than one. ``cache`` is
    the folder of built engines; ``rebuild`` ignores the files in it; without ``build``, a file that is missing there
    raises NotBuilt. ``max_batch`` is the largest batch.
    ``calibration`` holds the images for int8. ``progress`` is called from the loading thread with the step in progress.
    ``degraded`` is called with a text when the model loads, but not as requested: CUDA does not load, or the cache
    cannot be written and a temporary folder is used (without ``degraded`` an error).
    """

    precision: str = "auto"
    device: str = "auto"
    threads: int = 0
    streams: int = 1
    cache: Path | None = None
    rebuild: bool = False
    build: bool = True
    max_batch: int = 1
    calibration: CalibrationImages | None = None
    progress: Progress = field(default=silent, compare=False)
    degraded: Progress | None = field(default=None, compare=False)

    def require_device(self, backend: str, *able: str) -> None:
        """Raise ModelError if the back end does not run on the requested device."""
        if self.device != "auto" and self.device not in able:
            raise ModelError(
                f"parameter 'device' is '{self.device}': the back end '{backend}' runs on {' and '.join(able)}"
            )

    def warn(self, text: str) -> None:
        """Report that the model loads, but not as requested."""
        if self.degraded is not None:
            self.degraded(text)

    def artifact_options(self) -> dict[str, Any]:
        """The keyword arguments for :meth:`edgecam_core.inference.artifacts.Artifact.get`."""
        return {
            "rebuild": self.rebuild,
            "allowed": self.build,
            "progress": self.progress,
            "degraded": self.degraded,
        }


class Runner(ABC):
    """One loaded model. Loading may take minutes, :meth:`infer` milliseconds.

    Up to ``streams`` threads may call :meth:`infer`. Another thread may call :meth:`close` after they have ended.
    ``inputs`` and ``outputs`` are in the order of the model. ``description`` names library, version and device, e.g.
    ``onnxruntime 1.32 on CPU, 2 threads``. ``on_cpu``: the model runs on the CPU. ``rejected``: the back ends that
    ``auto`` tried before this one, and why each failed.
    """

    name: str = ""
    streams: int = 1
    on_cpu: bool = False

    def __init__(self, inputs: Mapping[str, TensorSpec], outputs: Mapping[str, TensorSpec], description: str) -> None:
        self.inputs = dict(inputs)
        self.outputs = dict(outputs)
        self.description = description
        self.rejected: dict[str, str] = {}

    @classmethod
    @abstractmethod
    def load(cls, model: ModelFile, options: RunnerOptions) -> Runner:
        """Load the model. Blocks for milliseconds to minutes.

        Raises:
            MissingDependency: the library is not installed; the message has the command.
            ModelError: this back end cannot run this model; the message has the reason.
            CacheError: a file must be built, but the cache cannot be written and ``options.degraded`` is None.
        """

    def infer(self, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the model once; blocks until the outputs are ready.

        The returned arrays are valid until the thread's next call.

        Raises:
            InferenceError: an input is missing or has a wrong type or shape, or the back end failed. The runner stays
                usable.
        """
        for name, tensor in self.inputs.items():
            if name not in feed:
                raise InferenceError(f"input {name!r} is missing; got {', '.join(feed) or 'none'}")
            array = feed[name]
            if not tensor.accepts(array):
                raise InferenceError(f"input {name!r} must be {tensor}, got {TensorSpec(array.dtype, array.shape)}")
        return self._infer(feed)

    @abstractmethod
    def _infer(self, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the model on checked inputs."""

    def close(self) -> None:  # noqa: B027 - most back ends have nothing to free
        """Free the back end's resources. Calling it twice is harmless."""
