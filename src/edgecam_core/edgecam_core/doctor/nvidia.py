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

"""NVIDIA."""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from edgecam_core.doctor import Finding, error, note, ok, warning

DRIVER = Path("/proc/driver/nvidia/version")
JETSON = Path("/etc/nv_tegra_release")
TENSORRT = "on a Jetson: sudo apt-get install python3-libnvinfer; elsewhere: pip install tensorrt"


def check(driver: Path = DRIVER, jetson: Path = JETSON) -> Iterator[Finding]:
    """``driver`` and ``jetson`` are the files that indicate an NVIDIA driver and a Jetson."""
    if not driver.exists() and not jetson.exists():
        yield note("nvidia-driver", "no NVIDIA driver: detection runs on the CPU")
        return
    yield ok("nvidia-driver", _first_line(jetson if jetson.exists() else driver))
    yield _cuda()
    yield _module("tensorrt", "TensorRT", TENSORRT)
    yield _onnxruntime_gpu()
    yield _python_library()


def _first_line(path: Path) -> str:
    return path.read_text(errors="replace").splitlines()[0].strip()


def _cuda() -> Finding:
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as problem:
        remedy = "in a container: start it with --gpus all (Jetson: --runtime nvidia); else reinstall the driver"
        return error("cuda", f"the driver is loaded, but libcuda.so.1 was not found: {problem}", remedy)
    code = cuda.cuInit(0)
    if code != 0:
        remedy = "driver and libcuda.so.1 have different versions: reboot after an update, or recreate the container"
        return error("cuda", f"CUDA does not start (cuInit returns {code})", remedy)
    version = ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(version))
    return ok("cuda", f"CUDA {version.value // 1000}.{version.value % 1000 // 10}")


def _module(name: str, title: str, remedy: str) -> Finding:
    if importlib.util.find_spec(name) is not None:
        return ok(name, f"{title} is installed")
    return warning(name, f"{title} is not installed", remedy)


def _python_library() -> Finding:
    for name in ("pycuda", "cuda"):
        if importlib.util.find_spec(name) is not None:
            return ok("cuda-python", f"TensorRT can use CUDA through the package '{name}'")
    return warning("cuda-python", "no Python library for CUDA is installed (for TensorRT)", "pip install cuda-python")


def _onnxruntime_gpu() -> Finding:
    try:
        import onnxruntime
    except ImportError:
        return note("onnxruntime-cuda", "ONNX Runtime is not installed", "pip install onnxruntime-gpu")
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        return ok("onnxruntime-cuda", "ONNX Runtime can use the GPU")
    remedy = "pip uninstall onnxruntime && pip install onnxruntime-gpu"
    return warning("onnxruntime-cuda", "ONNX Runtime is the CPU build: it will not use the GPU", remedy)
