"""Pinned buffers, device memory, a stream and a CUDA graph around something that computes on the GPU.

All of it lives in the primary context, which is pushed for the length of each call and popped after it: whatever
else in the process uses CUDA (PyTorch, OpenCV) finds its context as it left it, and none is left on the stack.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from edgecam_core.errors import InferenceError, MissingDependency, ModelError
from edgecam_core.inference.cuda_driver import CudaGraph, drop_context
from edgecam_core.inference.runner import Tensor

log = logging.getLogger(__name__)
Pointers = Mapping[str, int]
Enqueue = Callable[[int, int, Any], None]


class CudaContext:
    """The primary context of one GPU. Use ``with context.current():`` around anything that touches CUDA.

    Raises:
        MissingDependency: PyCUDA is not installed.
        ModelError: there is no usable GPU.
    """

    def __init__(self, number: int = 0) -> None:
        try:
            import pycuda.driver
        except ImportError as error:
            raise MissingDependency("PyCUDA", "pip install pycuda (needs nvcc and the Python headers)") from error
        self.driver = pycuda.driver
        try:
            self.driver.init()
            self._context = self.driver.Device(number).retain_primary_context()
        except self.driver.Error as error:
            raise ModelError(f"CUDA device {number} cannot be used: {error}") from error

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        self._context.push()
        try:
            yield
        finally:
            self._context.pop()

    def close(self) -> None:
        """Let go of the primary context, outside of :meth:`current`; it lives on while others hold it."""
        if self._context is not None:
            handle = self._context.handle
            self._context.detach()
            drop_context(handle)  # detach() pushes it first, and for a primary context nothing pops it again
            self._context = None


class CudaSession:
    """Copies inputs to the GPU, lets ``enqueue`` compute, copies outputs back. For one thread at a time.

    ``pointers`` are the device addresses of all tensors. Sizes that are None are the batch, up to ``max_batch``.

    Args:
        enqueue: ``enqueue(batch, stream handle, stream)`` puts the computation on the stream and does not wait.
        use_graph: capture copies and computation into a CUDA graph once they have run, where all sizes are fixed:
            TensorRT's execution context must not change under a graph that was captured from it.

    Raises:
        ModelError: not enough device memory.
    """

    def __init__(
        self,
        context: CudaContext,
        inputs: Mapping[str, Tensor],
        outputs: Mapping[str, Tensor],
        enqueue: Enqueue,
        max_batch: int = 1,
        use_graph: bool = True,
    ) -> None:
        self._context = context
        self._cuda = context.driver
        self._inputs, self._outputs = dict(inputs), dict(outputs)
        self._enqueue = enqueue
        tensors = {**self._inputs, **self._outputs}
        self._use_graph = use_graph and all(None not in tensor.shape for tensor in tensors.values())
        self._graph: CudaGraph | None = None
        self._ran = False
        self._hosts: dict[str, np.ndarray] = {}
        self._devices: dict[str, Any] = {}
        with context.current():
            self._stream = self._cuda.Stream()
            for name, tensor in tensors.items():
                shape = tuple(max_batch if size is None else size for size in tensor.shape)
                self._allocate(name, shape, tensor.dtype)

    def _allocate(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
        try:
            host = self._cuda.pagelocked_empty(shape, dtype)
            self._devices[name] = self._cuda.mem_alloc(max(1, host.nbytes))
        except self._cuda.MemoryError as error:
            size = int(np.prod(shape)) * dtype.itemsize / 2**20
            raise ModelError(f"the GPU has no {size:.1f} MiB left for tensor {name!r}; free memory on it") from error
        self._hosts[name] = host

    @property
    def pointers(self) -> dict[str, int]:
        return {name: int(memory) for name, memory in self._devices.items()}

    def run(self, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Compute once; blocks until the outputs are on the host, where they stay until the next call.

        Raises:
            InferenceError: CUDA failed.
        """
        batch = next(iter(feed.values())).shape[0]
        for name in self._inputs:
            np.copyto(self._hosts[name][:batch], feed[name])
        try:
            with self._context.current():
                self._launch(batch)
                self._stream.synchronize()
        except self._cuda.Error as error:
            raise InferenceError(f"CUDA failed: {error}") from error
        return {name: self._hosts[name][: self._rows(tensor, batch)] for name, tensor in self._outputs.items()}

    def _rows(self, tensor: Tensor, batch: int) -> int | None:
        return batch if tensor.shape and tensor.shape[0] is None else None

    def _launch(self, batch: int) -> None:
        if self._use_graph and self._graph is None and self._ran:  # the first run may allocate, which no graph can hold
            try:
                self._graph = CudaGraph(self._stream.handle, lambda: self._work(batch))
            except (InferenceError, self._cuda.Error) as error:
                log.warning("running without a CUDA graph: %s", error)
                self._use_graph = False
        if self._graph is not None:
            self._graph.launch()
            return
        self._work(batch)
        self._ran = True

    def _work(self, batch: int) -> None:
        for name in self._inputs:
            self._cuda.memcpy_htod_async(self._devices[name], self._hosts[name][:batch], self._stream)
        self._enqueue(batch, self._stream.handle, self._stream)
        for name, tensor in self._outputs.items():
            host = self._hosts[name][: self._rows(tensor, batch)]
            self._cuda.memcpy_dtoh_async(host, self._devices[name], self._stream)

    @property
    def uses_graph(self) -> bool:
        """Whether it runs as a CUDA graph by now."""
        return self._graph is not None

    def close(self) -> None:
        """Free everything on the GPU."""
        with self._context.current():
            if self._graph is not None:
                self._graph.close()
            for memory in self._devices.values():
                memory.free()
            self._graph = None
            self._devices, self._hosts = {}, {}
            self._stream = None
