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

"""Python packages."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from importlib import metadata

from edgecam_core.doctor import Finding, error, note, ok, warning

# Wheels that contain the same module: the one installed last overwrites the other, and removing either breaks both.
RIVALS = {
    "cv2": ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino"),
}


def installed() -> dict[str, str]:
    """The version of every installed distribution by normalised name; the first on the path counts, as in imports."""
    found: dict[str, str] = {}
    for one in metadata.distributions():
        name = one.metadata["Name"]
        if name:
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), one.version)
    return found


def check() -> Iterator[Finding]:
    versions = installed()
    for module, names in RIVALS.items():
        yield _rivals(module, [name for name in names if name in versions])
    yield from _opencv(versions)
    yield from _numpy()
    yield _providers()


def _rivals(module: str, packages: list[str]) -> Finding:
    key = f"rival-{module}"
    if len(packages) < 2:
        return ok(key, f"the module {module} is from {packages[0] if packages else 'the system'} only")
    keep = next((name for name in packages if "gpu" in name or "headless" in name), packages[0])
    remedy = f"pip uninstall {' '.join(packages)} && pip install {keep}"
    return error(key, f"{' and '.join(packages)} both contain the module {module} and overwrite each other", remedy)


def _opencv(versions: dict[str, str]) -> Iterator[Finding]:
    too_new = [name for name in RIVALS["cv2"] if versions.get(name, "0").partition(".")[0].isdecimal()
               and int(versions.get(name, "0").partition(".")[0]) >= 5]  # fmt: skip
    if too_new:
        text = f"{too_new[0]} {versions[too_new[0]]}: cv_bridge fails with OpenCV 5 (type codes changed)"
        yield error("opencv-version", text, f"pip install '{too_new[0]}<5'")
        return
    try:
        import cv2
    except ImportError as problem:
        yield error("opencv", f"OpenCV cannot be imported: {problem}", "pip install 'opencv-python-headless<5'")
        return
    yield ok("opencv-version", f"OpenCV {cv2.__version__}")


def _numpy() -> Iterator[Finding]:
    import numpy

    yield ok("numpy", f"NumPy {numpy.__version__}")
    try:
        importlib.import_module("cv_bridge")
    except ModuleNotFoundError:
        yield note("cv-bridge", "cv_bridge is not installed; only unusual image encodings need it",
                   "sudo apt-get install ros-$ROS_DISTRO-cv-bridge")  # fmt: skip
    except (ImportError, AttributeError) as problem:
        # cv_bridge from apt is compiled against NumPy 1; NumPy 2 in the same Python breaks its import.
        text = f"cv_bridge cannot be imported with NumPy {numpy.__version__}: {str(problem).splitlines()[0]}"
        yield error("cv-bridge", text, "pip install 'numpy<2', or uninstall the NumPy from pip")
    else:
        yield ok("cv-bridge", "cv_bridge can be imported")


def _providers() -> Finding:
    try:
        import onnxruntime
    except ImportError as problem:
        return warning("onnxruntime", f"ONNX Runtime cannot be imported: {problem}", "pip install onnxruntime")
    names = [name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()]
    return ok("onnxruntime", f"ONNX Runtime {onnxruntime.__version__} with {', '.join(names)}")
