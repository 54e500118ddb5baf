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

"""CUDA context, memory and streams: through PyCUDA if it is installed, else through NVIDIA's ``cuda-python``.

PyCUDA is a source package that needs nvcc and the Python headers; ``cuda-python`` comes as a wheel, also for aarch64.
Handles and pointers are plain integers here, so the callers do not depend on the library.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np

from edgecam_core.errors import InferenceError, MissingDependency, ModelError
from edgecam_core.inference.cuda_driver import drop_context, is_integrated

_INSTALL = "pip install cuda-python (or pycuda, which needs nvcc and the Python headers)"


class CudaContext(ABC):
    """The primary context of one GPU. Use ``with context.current():`` around anything that touches CUDA.

    ``shared``: GPU and host share their memory, as on a Jetson. The GPU then reads and writes :meth:`host` memory at
    :meth:`device_address`, without copies.
    """

    library = ""

    def __init__(self, number: int = 0, shared: bool | None = None) -> None:
        self.shared = is_integrated(number) if shared is None else shared

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        self._push()
        try:
            yield
        finally:
            self._pop()

    @abstractmethod
    def _push(self) -> None: ...

    @abstractmethod
    def _pop(self) -> None: ...

    @abstractmethod
    def host(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Page-locked host memory, for asynchronous copies. Raises InferenceError if there is none."""

    @abstractmethod
    def device_address(self, host: np.ndarray) -> int:
        """The device address of memory from :meth:`host`; only if ``shared``."""

    @abstractmethod
    def allocate(self, size: int) -> int:
        """Allocate ``size`` bytes of device memory. Raises InferenceError if there is none."""

    @abstractmethod
    def free(self, pointer: int) -> None: ...

    @abstractmethod
    def upload(self, pointer: int, host: np.ndarray, stream: int = 0) -> None:
        """Copy to the device: in stream order, or without a stream before this returns."""

    @abstractmethod
    def download(self, host: np.ndarray, pointer: int, stream: int = 0) -> None:
        """Copy from the device; ``stream`` as in :meth:`upload`."""

    @abstractmethod
    def stream(self) -> int:
        """Create a stream; returns its handle."""

    @abstractmethod
    def synchronize(self, stream: int) -> None:
        """Block until the stream is idle. Raises InferenceError if any of its work failed."""

    @abstractmethod
    def close(self) -> None:
        """Release the primary context; call it outside :meth:`current`. The context persists while others retain it."""


def open_context(number: int = 0, shared: bool | None = None) -> CudaContext:
    """The context of a GPU, through the first library that is installed.

    Args:
        number: the CUDA device number.
        shared: whether the GPU shares the host's memory; None asks the driver.

    Raises:
        MissingDependency: neither library is installed.
        ModelError: there is no usable GPU.
    """
    for library in (PyCudaContext, CudaPythonContext):
        try:
            return library(number, shared)
        except ImportError:
            continue
        except InferenceError as error:
            raise ModelError(f"CUDA device {number} cannot be used: {error}") from error
    raise MissingDependency("a Python library for CUDA", _INSTALL)


class PyCudaContext(CudaContext):
    """:class:`CudaContext` through PyCUDA."""

    library = "pycuda"

    def __init__(self, number: int = 0, shared: bool | None = None) -> None:
        import pycuda.driver

        super().__init__(number, shared)
        self._cuda: Any = pycuda.driver
        self._context: Any = None
        with self._explained():
            self._cuda.init()
            self._context = self._cuda.Device(number).retain_primary_context()
        self._memory: dict[int, Any] = {}
        self._streams: dict[int, Any] = {}

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except self._cuda.Error as error:
            raise InferenceError(f"CUDA failed: {error}") from error

    def _push(self) -> None:
        self._context.push()

    def _pop(self) -> None:
        self._context.pop()

    def host(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        flags = self._cuda.host_alloc_flags.DEVICEMAP if self.shared else 0
        with self._explained():
            return np.asarray(self._cuda.pagelocked_empty(shape, dtype, mem_flags=flags))

    def device_address(self, host: np.ndarray) -> int:
        owner: Any = host
        while not hasattr(owner, "get_device_pointer"):
            owner = owner.base
        return int(owner.get_device_pointer())

    def allocate(self, size: int) -> int:
        with self._explained():
            memory = self._cuda.mem_alloc(size)
        self._memory[int(memory)] = memory
        return int(memory)

    def free(self, pointer: int) -> None:
        self._memory.pop(pointer).free()

    def upload(self, pointer: int, host: np.ndarray, stream: int = 0) -> None:
        with self._explained():
            if stream:
                self._cuda.memcpy_htod_async(pointer, host, self._streams[stream])
            else:
                self._cuda.memcpy_htod(pointer, host)

    def download(self, host: np.ndarray, pointer: int, stream: int = 0) -> None:
        with self._explained():
            if stream:
                self._cuda.memcpy_dtoh_async(host, pointer, self._streams[stream])
            else:
                self._cuda.memcpy_dtoh(host, pointer)

    def stream(self) -> int:
        with self._explained():
            stream = self._cuda.Stream()
        self._streams[int(stream.handle)] = stream
        return int(stream.handle)

    def synchronize(self, stream: int) -> None:
        with self._explained():
            self._streams[stream].synchronize()

    def close(self) -> None:
        if self._context is not None:
            with self.current():
                self._streams.clear()
            handle = self._context.handle
            self._context.detach()
            drop_context(handle)  # detach() pushes a primary context and does not pop it
            self._context = None


class CudaPythonContext(CudaContext):
    """:class:`CudaContext` through NVIDIA's cuda-python."""

    library = "cuda-python"

    def __init__(self, number: int = 0, shared: bool | None = None) -> None:
        try:
            from cuda.bindings import driver
        except ImportError:
            from cuda import cuda as driver  # before 12.8

        super().__init__(number, shared)
        self._cuda: Any = driver
        self._number = number
        self._call("cuInit", 0)
        self._context: Any = self._call("cuDevicePrimaryCtxRetain", number)
        self._hosts: dict[int, int] = {}
        self._streams: list[int] = []

    def _call(self, name: str, *arguments: Any) -> Any:
        error, *values = getattr(self._cuda, name)(*arguments)
        if int(error) != 0:
            raise InferenceError(f"CUDA failed: {name}: {getattr(error, 'name', error)}")
        return values[0] if values else None

    def _push(self) -> None:
        self._call("cuCtxPushCurrent", self._context)

    def _pop(self) -> None:
        self._call("cuCtxPopCurrent")

    def host(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        size = max(1, int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
        flags = self._cuda.CU_MEMHOSTALLOC_DEVICEMAP if self.shared else 0
        pointer = int(self._call("cuMemHostAlloc", size, flags))
        memory = _HostMemory(pointer, size)
        array = np.frombuffer(memory.view(), dtype, int(np.prod(shape, dtype=np.int64))).reshape(shape)
        self._hosts[array.ctypes.data] = pointer
        return array

    def device_address(self, host: np.ndarray) -> int:
        return int(self._call("cuMemHostGetDevicePointer", self._hosts[host.ctypes.data], 0))

    def allocate(self, size: int) -> int:
        return int(self._call("cuMemAlloc", size))

    def free(self, pointer: int) -> None:
        self._call("cuMemFree", pointer)

    def upload(self, pointer: int, host: np.ndarray, stream: int = 0) -> None:
        more = (stream,) if stream else ()
        self._call("cuMemcpyHtoDAsync" if stream else "cuMemcpyHtoD", pointer, host.ctypes.data, host.nbytes, *more)

    def download(self, host: np.ndarray, pointer: int, stream: int = 0) -> None:
        more = (stream,) if stream else ()
        self._call("cuMemcpyDtoHAsync" if stream else "cuMemcpyDtoH", host.ctypes.data, pointer, host.nbytes, *more)

    def stream(self) -> int:
        self._streams.append(int(self._call("cuStreamCreate", 0)))
        return self._streams[-1]

    def synchronize(self, stream: int) -> None:
        self._call("cuStreamSynchronize", stream)

    def close(self) -> None:
        if self._context is None:
            return
        with self.current():
            for stream in self._streams:
                self._call("cuStreamDestroy", stream)
            for pointer in self._hosts.values():
                self._call("cuMemFreeHost", pointer)
        self._streams, self._hosts = [], {}
        self._call("cuDevicePrimaryCtxRelease", self._number)
        self._context = None


class _HostMemory:
    """Memory at an address, viewable by NumPy; its owner frees it."""

    def __init__(self, pointer: int, size: int) -> None:
        import ctypes

        self._type = ctypes.c_ubyte * size
        self._pointer = pointer

    def view(self) -> Any:
        return self._type.from_address(self._pointer)
