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

"""Finds TensorRT (8.6, 10.x, 11.x) or TensorRT-RTX, which has the same Python interface."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from edgecam_core.errors import MissingDependency

_INSTALL = (
    "on a Jetson it is part of JetPack (apt install python3-libnvinfer), elsewhere pip install tensorrt, or "
    "pip install tensorrt-rtx-cu13-libs tensorrt-rtx-cu13-bindings for GeForce and RTX cards"
)
# Modules to import, in this order, and their flavour. The last module has the interface.
_CANDIDATES = (
    (("tensorrt",), "tensorrt"),
    (("tensorrt_rtx",), "tensorrt-rtx"),
    (("tensorrt_rtx_libs", "tensorrt_rtx_bindings"), "tensorrt-rtx"),
)


@dataclass(frozen=True)
class TensorRt:
    """The imported module, ``tensorrt`` or ``tensorrt-rtx``, and its version."""

    module: Any
    flavour: str
    version: str

    @property
    def strongly_typed(self) -> bool:
        """Whether a network can take its precision from the ONNX file alone (10.x on); else it needs builder flags."""
        return hasattr(self.module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")

    @property
    def takes_flags(self) -> bool:
        """Whether builder flags can enable FP16 and INT8 (8.x, and 10.x as an alternative to strong typing)."""
        return hasattr(getattr(self.module, "BuilderFlag", None), "FP16")

    @property
    def portable(self) -> bool:
        """Whether an engine runs on every supported GPU (TensorRT-RTX); TensorRT builds for the GPU it finds."""
        return self.flavour == "tensorrt-rtx"

    def load_plugins(self, logger: Any) -> None:
        """Register TensorRT's own plugins, such as EfficientNMS; each process must do it before parsing or loading."""
        if hasattr(self.module, "init_libnvinfer_plugins"):  # not in TensorRT-RTX, which has none
            self.module.init_libnvinfer_plugins(logger, "")

    def __str__(self) -> str:
        return f"{self.flavour} {self.version} {platform.machine()}"


def import_tensorrt() -> TensorRt:
    """Import the flavour that is installed; takes a tenth of a second or more.

    Raises:
        MissingDependency: none is installed, or its libraries cannot be loaded.
    """
    problems = []
    for modules, flavour in _CANDIDATES:
        try:
            module = [import_module(name) for name in modules][-1]
            return TensorRt(module, flavour, str(module.__version__))
        except ModuleNotFoundError:
            continue
        except (ImportError, OSError, AttributeError) as error:  # bindings without their libraries
            problems.append(f"{modules[-1]} is installed but does not load ({error})")
    raise MissingDependency("; ".join(["TensorRT", *problems]), _INSTALL)
