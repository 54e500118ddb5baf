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

"""Runs a computation on the GPU: pinned buffers, device memory, a stream and a CUDA graph.

All of it lives in the primary context, which is pushed for each call and popped after it: other users of
CUDA in the process (PyTorch, OpenCV) keep their context, and no context is left on the stack.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping

import numpy as np

from edgecam_core.errors import InferenceError, ModelError
from edgecam_core.inference.cuda_driver import CudaGraph
from edgecam_core.inference.cuda_memory import CudaContext
from edgecam_core.inference.runner import TensorSpec

log = logging.getLogger(__name__)
Enqueue = Callable[[int, int], None]


class CudaSession:
    """Copies inputs to the GPU, calls ``enqueue``, copies outputs back. For one thread at a time.

    ``pointers`` holds the device addresses of all tensors except the data-dependent outputs. A first dimension of None
    is the batch, up to ``max_batch``. Nothing is copied if GPU and host share their memory.

    Args:
        enqueue: ``enqueue(batch, stream handle)`` puts the computation on the stream and does not wait.
        use_graph: after the first run, capture copies and computation into a CUDA graph. Only done if all sizes are
            fixed: TensorRT's execution context must not change after a graph was captured from it.
        data_dependent: outputs whose shapes depend on the data; ``enqueue`` must make sure that :meth:`grow` and
            :meth:`set_shape` are called for each of them in each run.

    Raises:
        ModelError: not enough device memory, or the size of a tensor is unknown.
    """

    def __init__(
        self,
        context: CudaContext,
        inputs: Mapping[str, TensorSpec],
        outputs: Mapping[str, TensorSpec],
        enqueue: Enqueue,
        max_batch: int = 1,
        use_graph: bool = True,
        data_dependent: Collection[str] = (),
    ) -> None:
        self._context = context
        self._inputs = dict(inputs)
        self._outputs = {name: tensor for name, tensor in outputs.items() if name not in data_dependent}
        self._data_dependent = {name: outputs[name] for name in data_dependent}
        self._enqueue = enqueue
        tensors = {**self._inputs, **self._outputs}
        self._use_graph = (
            use_graph and not data_dependent and all(None not in tensor.shape for tensor in tensors.values())
        )
        self._graph: CudaGraph | None = None
        self._ran = False
        self._hosts: dict[str, np.ndarray] = {}
        self._devices: dict[str, int] = {}
        self._sizes: dict[str, int] = {}  # bytes held for data-dependent outputs
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._require_sizes()
        with context.current():
            self._stream = context.stream()
            for name, tensor in tensors.items():
                self._allocate(name, tuple(max_batch if size is None else size for size in tensor.shape), tensor.dtype)

    def _require_sizes(self) -> None:
        """Refuse tensors of unknown size: the GPU would write past the end of their buffers."""
        batched = any(tensor.shape[:1] == (None,) for tensor in self._inputs.values())
        for name, tensor in {**self._inputs, **self._outputs}.items():
            if None in tensor.shape[1:] or (tensor.shape[:1] == (None,) and not batched):
                raise ModelError(
                    f"the size of tensor {name!r}, {tensor}, depends on the data; export it with a fixed size"
                )

    def _allocate(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
        try:
            host = self._context.host(shape, dtype)
            if not self._context.shared:
                self._devices[name] = self._context.allocate(max(1, host.nbytes))
        except (InferenceError, ValueError, MemoryError, OverflowError) as error:
            size = int(np.prod(shape, dtype=np.float64)) * dtype.itemsize / 2**20
            raise ModelError(f"the GPU has no {size:.1f} MiB left for tensor {name!r}; free memory on it") from error
        self._hosts[name] = host

    @property
    def pointers(self) -> dict[str, int]:
        if self._context.shared:
            return {name: self._context.device_address(host) for name, host in self._hosts.items()}
        return {name: self._devices[name] for name in self._hosts}

    def grow(self, name: str, size: int) -> int:
        """The address of at least ``size`` bytes for a data-dependent output; growing discards the contents.

        Raises:
            InferenceError: not enough device memory.
        """
        if self._sizes.get(name, 0) < size:
            if name in self._devices:
                self._context.free(self._devices.pop(name))
            self._sizes[name] = 0
            self._devices[name] = self._context.allocate(size)
            self._sizes[name] = size
        return self._devices.get(name, 0)

    def set_shape(self, name: str, shape: tuple[int, ...]) -> None:
        """Set the shape of a data-dependent output in this run."""
        self._shapes[name] = shape

    def run(self, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Compute once; blocks until the outputs are on the host. The arrays are valid until the next call.

        Raises:
            InferenceError: CUDA failed.
        """
        sizes = (len(feed[name]) for name, tensor in self._inputs.items() if tensor.shape[:1] == (None,))
        batch = next(sizes, 1)
        for name, tensor in self._inputs.items():
            np.copyto(self._hosts[name][: _rows(tensor, batch)], feed[name])
        self._shapes = {}
        with self._context.current():
            self._launch(batch)
            self._context.synchronize(self._stream)
            fetched = {name: self._fetch(name, tensor) for name, tensor in self._data_dependent.items()}
        outputs = {name: self._hosts[name][: _rows(tensor, batch)] for name, tensor in self._outputs.items()}
        return {**outputs, **fetched}

    def _fetch(self, name: str, tensor: TensorSpec) -> np.ndarray:
        if name not in self._shapes:
            raise InferenceError(f"the engine returned no shape for its output {name!r}")
        host = np.empty(self._shapes[name], tensor.dtype)
        if host.nbytes > self._sizes.get(name, 0):
            raise InferenceError(f"the engine wrote more values to output {name!r} than it requested memory for")
        if host.size:
            self._context.download(host, self._devices[name])
        return host

    def _launch(self, batch: int) -> None:
        # The first run may allocate memory, which cannot be captured.
        if self._use_graph and self._graph is None and self._ran:
            try:
                self._graph = CudaGraph(self._stream, lambda: self._work(batch))
            except InferenceError as error:
                log.warning("running without a CUDA graph: %s", error)
                self._use_graph = False
        if self._graph is not None:
            self._graph.launch()
            return
        self._work(batch)
        self._ran = True

    def _work(self, batch: int) -> None:
        for name, tensor in self._inputs.items():
            if not self._context.shared:
                self._context.upload(self._devices[name], self._hosts[name][: _rows(tensor, batch)], self._stream)
        self._enqueue(batch, self._stream)
        for name, tensor in self._outputs.items():
            if not self._context.shared:
                self._context.download(self._hosts[name][: _rows(tensor, batch)], self._devices[name], self._stream)

    @property
    def uses_graph(self) -> bool:
        """Whether a CUDA graph has been captured."""
        return self._graph is not None

    def close(self) -> None:
        """Free everything on the GPU."""
        with self._context.current():
            if self._graph is not None:
                self._graph.close()
            for pointer in self._devices.values():
                self._context.free(pointer)
            self._graph = None
            self._devices, self._hosts, self._sizes = {}, {}, {}


def _rows(tensor: TensorSpec, batch: int) -> int | None:
    """Number of rows of a buffer that a run uses; None for all."""
    return batch if tensor.shape[:1] == (None,) else None
