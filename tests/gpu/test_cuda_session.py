"""Buffers, stream and CUDA graph of the TensorRT back end on a real GPU, with a plain kernel in place of an engine.

Not part of `make test`: it needs an NVIDIA GPU, nvcc and PyCUDA. Run it with

    PYTHONPATH=src/edgecam_core python3 -m pytest -s tests/gpu
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from edgecam_core.errors import InferenceError, ModelError
from edgecam_core.inference.cuda_driver import current_context, find_gpu
from edgecam_core.inference.cuda_session import CudaContext, CudaSession
from edgecam_core.inference.runner import Tensor
from edgecam_core.inference.tensorrt_calibrator import calibrator

KERNEL = """
__global__ void scale(const float *in, float *out, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) out[i] = 2.0f * in[i] + 1.0f;
}
"""
SHAPE = (3, 300, 300)
FLOAT = np.dtype(np.float32)


@pytest.fixture(scope="module")
def context() -> Iterator[CudaContext]:
    if find_gpu() is None:
        pytest.skip("there is no NVIDIA GPU here")
    context = CudaContext()
    yield context
    context.close()


@pytest.fixture(scope="module")
def kernel(context: CudaContext) -> Any:
    from pycuda.compiler import SourceModule

    with context.current():
        return SourceModule(KERNEL).get_function("scale")


def session(context: CudaContext, kernel: Any, batch: int | None = 1, **options: Any) -> CudaSession:
    def enqueue(rows: int, _handle: int, stream: Any) -> None:
        count = rows * int(np.prod(SHAPE))
        pointers = made.pointers
        kernel(
            np.uintp(pointers["input_0"]),
            np.uintp(pointers["scores"]),
            np.int32(count),
            block=(256, 1, 1),
            grid=(-(-count // 256), 1),
            stream=stream,
        )

    tensor = Tensor(FLOAT, (batch, *SHAPE))
    made = CudaSession(context, {"input_0": tensor}, {"scores": tensor}, enqueue, max_batch=4, **options)
    return made


def images(batch: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((batch, *SHAPE), np.float32)


@pytest.mark.parametrize(("batch", "use_graph"), [(1, False), (1, True), (4, True), (None, True)])
def test_every_run_sees_its_own_input(context: CudaContext, kernel: Any, batch: int | None, use_graph: bool) -> None:
    subject = session(context, kernel, batch, use_graph=use_graph)
    for turn in range(10):
        for rows in (batch,) if batch else (1, 4, 2):
            feed = images(rows, turn)
            np.testing.assert_allclose(subject.run({"input_0": feed})["scores"], 2 * feed + 1, rtol=1e-6)
    assert subject.uses_graph == (use_graph and batch is not None)  # no graph where sizes are free
    subject.close()


def test_work_that_cannot_be_captured_still_runs(context: CudaContext) -> None:
    def synchronises(_batch: int, _handle: int, stream: Any) -> None:
        stream.synchronize()  # not allowed while a stream is captured

    subject = CudaSession(context, {"a": Tensor(FLOAT, (1, *SHAPE))}, {}, synchronises)
    for _ in range(3):
        assert subject.run({"a": images(1)}) == {}
    assert not subject.uses_graph
    subject.close()


def test_no_context_is_left_on_the_stack(kernel: Any) -> None:
    seen = []

    def work() -> None:  # a thread of its own: it starts without a context
        own = CudaContext()
        tensor = Tensor(FLOAT, (None, *SHAPE))
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


class Images(list[dict[str, np.ndarray]]):
    """Calibration images for a network with one input."""

    def fingerprint(self) -> str:
        return "made"

    def feeds(self) -> Iterator[dict[str, np.ndarray]]:
        return iter(self)


def test_calibration_images_reach_the_gpu(context: CudaContext) -> None:
    """What TensorRT 8.x asks its calibrator for, while another user of the context has it current."""
    trt = SimpleNamespace(IInt8EntropyCalibrator2=object)
    given = Images({"a": np.full((1, *SHAPE), number, np.float32)} for number in range(3))
    outside = current_context()
    with context.current():
        before = current_context()
        with closing(CudaContext()) as own, own.current():
            subject = calibrator(trt, own.driver, given, print)
            for image in given:
                (pointer,) = subject.get_batch(["a"])
                back = np.empty_like(image["a"])
                own.driver.memcpy_dtoh(back, pointer)
                np.testing.assert_array_equal(back, image["a"])
            assert subject.get_batch(["a"]) is None
            assert subject.failed is None
        assert current_context() == before
    assert current_context() == outside


def test_too_large_a_model_is_a_clear_error(context: CudaContext) -> None:
    # Pinned host memory of that size does not exist either; both are reported the same way.
    huge = Tensor(FLOAT, (1 << 40,))
    with pytest.raises(ModelError, match="MiB left for tensor 'a'"):
        CudaSession(context, {"a": huge}, {}, lambda *_: None)


def test_a_graph_needs_a_real_stream(context: CudaContext) -> None:
    from edgecam_core.inference.cuda_driver import CudaGraph

    with context.current(), pytest.raises(InferenceError, match="cuStreamBeginCapture"):
        CudaGraph(0, lambda: None)


def test_beside_pytorch(context: CudaContext, kernel: Any) -> None:
    torch = pytest.importorskip("torch")
    subject = session(context, kernel, 2)
    on_gpu = torch.ones(1000, device="cuda")
    np.testing.assert_allclose(subject.run({"input_0": images(2)})["scores"], 2 * images(2) + 1, rtol=1e-6)
    assert float((on_gpu * 2).sum()) == 2000
    subject.close()


def test_timing(context: CudaContext, kernel: Any) -> None:
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
        print(f"\n{find_gpu()}, graph {use}: median {1e6 * statistics.median(times[use]):.0f} us a run of 1x3x300x300")
        subject.close()
