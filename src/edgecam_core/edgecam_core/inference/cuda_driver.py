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

"""CUDA driver calls through ctypes: GPU query, current context and CUDA graphs.

Needs no Python package, so it works on a machine without CUDA, too. Names are those of the CUDA driver API.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable
from dataclasses import dataclass

from edgecam_core.errors import InferenceError

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
_INTEGRATED = 18  # CU_DEVICE_ATTRIBUTE_INTEGRATED
_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL


@dataclass(frozen=True)
class Gpu:
    """A GPU's name and compute capability, e.g. ``8.7``."""

    name: str
    capability: str

    def __str__(self) -> str:
        return f"{self.name} (compute capability {self.capability})"


def _library() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(ctypes.util.find_library("cuda") or "libcuda.so.1")
    except OSError:
        return None


def find_gpu(number: int = 0) -> Gpu | None:
    """The GPU with this device number; None without a driver or such a GPU."""
    cuda = _library()
    if cuda is None or cuda.cuInit(0) != 0:
        return None
    device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
    major, minor = ctypes.c_int(), ctypes.c_int()
    calls = (
        lambda: cuda.cuDeviceGet(ctypes.byref(device), number),
        lambda: cuda.cuDeviceGetName(name, len(name), device),
        lambda: cuda.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device),
        lambda: cuda.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device),
    )
    if any(call() != 0 for call in calls):
        return None
    return Gpu(name.value.decode(), f"{major.value}.{minor.value}")


def is_integrated(number: int = 0) -> bool:
    """Whether the GPU shares the host's memory, as on a Jetson."""
    cuda, integrated = _library(), ctypes.c_int()
    if cuda is None or cuda.cuInit(0) != 0:
        return False
    return cuda.cuDeviceGetAttribute(ctypes.byref(integrated), _INTEGRATED, number) == 0 and integrated.value == 1


def current_context() -> int:
    """The handle of the calling thread's CUDA context, 0 for none."""
    cuda, context = _library(), ctypes.c_void_p()
    if cuda is None or cuda.cuCtxGetCurrent(ctypes.byref(context)) != 0:
        return 0
    return context.value or 0


def drop_context(handle: int) -> None:
    """Pop a context off the calling thread's stack if it is the current one."""
    cuda, context = _library(), ctypes.c_void_p()
    if cuda is not None and handle and current_context() == handle:
        cuda.cuCtxPopCurrent_v2(ctypes.byref(context))


class CudaGraph:
    """Work captured from a stream, launched again with one call.

    Args:
        stream: handle of a stream; neither the default stream nor one that is being captured.
        enqueue: puts the work on that stream without waiting for it.

    Raises:
        InferenceError: the work cannot be captured.
    """

    def __init__(self, stream: int, enqueue: Callable[[], None]) -> None:
        cuda = _library()
        if cuda is None:
            raise InferenceError("there is no CUDA driver")
        self._cuda = cuda
        self._stream = ctypes.c_void_p(stream)
        self._executable = ctypes.c_void_p()
        graph = ctypes.c_void_p()
        self._check("cuStreamBeginCapture_v2", self._stream, _THREAD_LOCAL)
        try:
            enqueue()
        finally:  # the stream must leave capture mode even after an error
            ended = cuda.cuStreamEndCapture(self._stream, ctypes.byref(graph))
        if ended != 0 or not graph:
            raise InferenceError(f"the work cannot be captured as a CUDA graph (error {ended})")
        try:
            # Since CUDA 11.4; the flags argument is 64 bits wide.
            self._check("cuGraphInstantiateWithFlags", ctypes.byref(self._executable), graph, ctypes.c_uint64(0))
        finally:
            cuda.cuGraphDestroy(graph)

    def launch(self) -> None:
        """Enqueue the work again; returns before it is done.

        Raises:
            InferenceError: the driver refuses.
        """
        self._check("cuGraphLaunch", self._executable, self._stream)

    def close(self) -> None:
        if self._executable:
            self._cuda.cuGraphExecDestroy(self._executable)
            self._executable = ctypes.c_void_p()

    def _check(self, call: str, *arguments: object) -> None:
        result = getattr(self._cuda, call)(*arguments)
        if result != 0:
            raise InferenceError(f"{call} failed with CUDA error {result}")
