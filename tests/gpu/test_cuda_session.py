"""Buffers, stream and CUDA graph of the TensorRT back end on a real GPU, with a plain kernel in place of an engine.

Not part of `make test`: it needs an NVIDIA GPU, and PyCUDA or cuda-python (each is tested where it is installed). Run

    PYTHONPATH=src/edgecam_core python3 -m pytest -s tests/gpu
"""

from __future__ import annotations

import ctypes
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from edgecam_core.errors import InferenceError, ModelError
from edgecam_core.inference.cuda_driver import CudaGraph, current_context, find_gpu
from edgecam_core.inference.cuda_memory import CudaContext, CudaPythonContext, PyCudaContext
from edgecam_core.inference.cuda_session import CudaSession
from edgecam_core.inference.runner import TensorSpec
from edgecam_core.inference.tensorrt_calibrator import calibrator

# out = 2 * in + 1 for count floats, in PTX, which the driver compiles for the GPU of this machine.
KERNEL = b"""
.version 6.0
.target sm_50
.address_size 64
.visible .entry scale(.param .u64 from, .param .u64 to, .param .u32 count) {
  .reg .pred %p<2>; .reg .f32 %f<3>; .reg .b32 %r<6>; .reg .b64 %d<8>;
  ld.param.u64 %d1, [from]; ld.param.u64 %d2, [to]; ld.param.u32 %r1, [count];
  mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x; mov.u32 %r4, %tid.x;
  mad.lo.s32 %r5, %r2, %r3, %r4;
  setp.ge.s32 %p1, %r5, %r1; @%p1 bra DONE;
  cvta.to.global.u64 %d3, %d1; cvta.to.global.u64 %d4, %d2;
  mul.wide.s32 %d5, %r5, 4; add.s64 %d6, %d3, %d5; add.s64 %d7, %d4, %d5;
  ld.global.f32 %f1, [%d6]; fma.rn.f32 %f2, %f1, 0f40000000, 0f3F800000; st.global.f32 [%d7], %f2;
DONE: ret;
}
"""
SHAPE = (3, 300, 300)
FLOAT = np.dtype(np.float32)
Kernel = Callable[[int, int, int, int], None]
WAYS = {"pycuda": (PyCudaContext, None), "cuda-python": (CudaPythonContext, None)}
WAYS |= {f"{name}, shared memory": (library, True) for name, (library, _) in list(WAYS.items())}


@pytest.fixture(scope="module", params=WAYS)
def context(request: pytest.FixtureRequest) -> Iterator[CudaContext]:
    if find_gpu() is None:
        pytest.skip("there is no NVIDIA GPU here")
    library, shared = WAYS[request.param]
    try:
        made = library(0, shared)
    except ImportError as error:
        pytest.skip(f"{library.library} is not installed: {error}")
    yield made
    made.close()


@pytest.fixture(scope="module")
def kernel(context: CudaContext) -> Kernel:
    """``kernel(from, to, count, stream)`` enqueues the computation."""
    cuda = ctypes.CDLL("libcuda.so.1")
    module, function = ctypes.c_void_p(), ctypes.c_void_p()
    with context.current():
        assert cuda.cuModuleLoadData(ctypes.byref(module), KERNEL) == 0
        assert cuda.cuModuleGetFunction(ctypes.byref(function), module, b"scale") == 0

    def launch(source: int, target: int, count: int, stream: int) -> None:
        given = (ctypes.c_uint64(source), ctypes.c_uint64(target), ctypes.c_uint32(count))
        pointers = (ctypes.c_void_p * 3)(*(ctypes.cast(ctypes.pointer(one), ctypes.c_void_p) for one in given))
        grid = -(-count // 256)
        assert cuda.cuLaunchKernel(function, grid, 1, 1, 256, 1, 1, 0, ctypes.c_void_p(stream), pointers, None) == 0

    return launch


def session(context: CudaContext, kernel: Kernel, batch: int | None = 1, **options: Any) -> CudaSession:
    def enqueue(rows: int, stream: int) -> None:
        pointers = made.pointers
        count = (rows if batch is None else batch) * int(np.prod(SHAPE))
        kernel(pointers["input_0"], pointers["scores"], count, stream)

    tensor = TensorSpec(FLOAT, (batch, *SHAPE))
    made = CudaSession(context, {"input_0": tensor}, {"scores": tensor}, enqueue, max_batch=4, **options)
    return made


def images(batch: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((batch, *SHAPE), np.float32)


@pytest.mark.parametrize(("batch", "use_graph"), [(1, False), (1, True), (4, True), (None, True)])
def test_every_run_sees_its_own_input(context: CudaContext, kernel: Kernel, batch: int | None, use_graph: bool) -> None:
    subject = session(context, kernel, batch, use_graph=use_graph)
    for turn in range(10):
        for rows in (batch,) if batch else (1, 4, 2):
            feed = images(rows, turn)
            np.testing.assert_allclose(subject.run({"input_0": feed})["scores"], 2 * feed + 1, rtol=1e-6)
    assert subject.uses_graph == (use_graph and batch is not None)  # no graph if sizes are dynamic
    subject.close()


def test_outputs_that_grow_are_returned_whole(context: CudaContext, kernel: Kernel) -> None:
    """Like TensorRT's output allocator: memory is requested during the run, the shape is reported at its end."""

    def enqueue(_batch: int, stream: int) -> None:
        memory = subject.grow("boxes", rows * 16)
        kernel(subject.pointers["input_0"], memory, rows * 4, stream)
        subject.set_shape("boxes", (rows, 4))

    inputs, outputs = {"input_0": TensorSpec(FLOAT, (1, *SHAPE))}, {"boxes": TensorSpec(FLOAT, (None, 4))}
    subject = CudaSession(context, inputs, outputs, enqueue, data_dependent=("boxes",))
    for rows in (3, 1000, 7, 20000):
        feed = images(1, rows)
        found = subject.run({"input_0": feed})["boxes"]
        np.testing.assert_allclose(found, 2 * feed.ravel()[: rows * 4].reshape(rows, 4) + 1, rtol=1e-6)
    assert not subject.uses_graph
    subject.close()
    with pytest.raises(ModelError, match=r"the size of tensor 'boxes'.* depends on the data"):
        CudaSession(context, inputs, outputs, enqueue)


def test_work_that_cannot_be_captured_still_runs(context: CudaContext) -> None:
    def synchronises(_batch: int, stream: int) -> None:
        context.synchronize(stream)  # not allowed while a stream is captured

    subject = CudaSession(context, {"a": TensorSpec(FLOAT, (1, *SHAPE))}, {}, synchronises)
    for _ in range(3):
        assert subject.run({"a": images(1)}) == {}
    assert not subject.uses_graph
    subject.close()


def test_no_context_is_left_on_the_stack(context: CudaContext) -> None:
    seen = []

    def work() -> None:  # a separate thread, which starts without a context
        own = type(context)(0, context.shared)
        tensor = TensorSpec(FLOAT, (None, *SHAPE))
        subject = CudaSession(own, {"a": tensor}, {"a_again": tensor}, lambda *_: None)
        seen.append(current_context())
        subject.run({"a": images(1)})
        seen.append(current_context())
        subject.close()
        own.close()
        seen.append(current_context())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [0, 0, 0]


class CalibrationBatches(list[dict[str, np.ndarray]]):
    """Calibration images for a network with one input."""

    def fingerprint(self) -> str:
        return "made"

    def feeds(self) -> Iterator[dict[str, np.ndarray]]:
        return iter(self)


def test_calibration_images_reach_the_gpu(context: CudaContext) -> None:
    """TensorRT 8.x asks its calibrator for images while the context is current elsewhere."""
    trt = SimpleNamespace(IInt8EntropyCalibrator2=object)
    given = CalibrationBatches({"a": np.full((1, *SHAPE), number, np.float32)} for number in range(3))
    outside = current_context()
    with context.current():
        before = current_context()
        with closing(type(context)(0, context.shared)) as own, own.current():
            subject = calibrator(trt, own, given, print)
            for image in given:
                (pointer,) = subject.get_batch(["a"])
                back = np.empty_like(image["a"])
                own.download(back, pointer)
                np.testing.assert_array_equal(back, image["a"])
            assert subject.get_batch(["a"]) is None
            assert subject.failed is None
            subject.close()
        assert current_context() == before
    assert current_context() == outside


def test_too_large_a_model_is_a_clear_error(context: CudaContext) -> None:
    # Pinned host memory of that size does not exist either; both are reported the same way.
    huge = TensorSpec(FLOAT, (1 << 40,))
    with pytest.raises(ModelError, match="MiB left for tensor 'a'"):
        CudaSession(context, {"a": huge}, {}, lambda *_: None)


def test_a_graph_needs_a_real_stream(context: CudaContext) -> None:
    with context.current(), pytest.raises(InferenceError, match="cuStreamBeginCapture"):
        CudaGraph(0, lambda: None)


def test_against_pytorch(context: CudaContext, kernel: Kernel) -> None:
    torch = pytest.importorskip("torch")
    subject = session(context, kernel, 2)
    on_gpu = torch.ones(1000, device="cuda")
    np.testing.assert_allclose(subject.run({"input_0": images(2)})["scores"], 2 * images(2) + 1, rtol=1e-6)
    assert float((on_gpu * 2).sum()) == 2000
    subject.close()


def test_timing(context: CudaContext, kernel: Kernel) -> None:
    """Prints what a run costs beyond the computation; nothing is asserted about speed."""
    subjects = {use: session(context, kernel, use_graph=use) for use in (False, True)}
    times: dict[bool, list[float]] = {False: [], True: []}
    feed = images(1)
    for turn in range(300):
        for use, subject in subjects.items():
            started = time.perf_counter()
            subject.run({"input_0": feed})
            if turn >= 20:
                times[use].append(time.perf_counter() - started)
    for use, subject in subjects.items():
        how = f"{context.library}{', shared' if context.shared else ''}"
        median = 1e6 * statistics.median(times[use])
        print(f"\n{find_gpu()}, {how}, graph {use}: median {median:.0f} us a run of 1x3x300x300")
        subject.close()
