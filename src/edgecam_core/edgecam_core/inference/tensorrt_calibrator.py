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

"""INT8 calibration by TensorRT: it runs the images through the network on the GPU and determines the ranges.

Used with TensorRT 8.x and for a DLA. Later versions take INT8 from Q/DQ pairs: calibrators are deprecated since 10.1
and removed in 11. The method is entropy calibration (Migacz, "8-bit Inference with TensorRT", GTC 2017), which NVIDIA
recommends for convolutional networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgecam_core.inference.cuda_memory import CudaContext
    from edgecam_core.inference.runner import CalibrationImages, Progress


def calibrator(trt: Any, context: CudaContext, calibration: CalibrationImages, progress: Progress) -> Any:
    """An object for ``IBuilderConfig.int8_calibrator``: uploads the images one at a time.

    Exceptions of reading an image or of ``progress`` must not cross TensorRT's C++: they are kept in ``failed`` and the
    calibration ends. The caller of the build must raise ``failed`` afterwards.

    Args:
        context: that of the GPU that builds the engine, current in the building thread.
    """

    # The base class is known only at run time, as for the logger and the monitor in tensorrt_builder.
    class Calibrator(trt.IInt8EntropyCalibrator2):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.IInt8EntropyCalibrator2.__init__(self)
            self.failed: Exception | None = None
            self._feeds = enumerate(calibration.feeds(), 1)
            self._memory: dict[str, int] = {}

        def get_batch_size(self) -> int:
            return 1

        def get_batch(self, names: Sequence[str]) -> list[int] | None:
            try:
                number, feed = next(self._feeds, (0, {}))
                if not feed:
                    return None
                progress(f"calibrating int8: image {number} of {len(calibration)}")
                return [self._upload(name, feed[name]) for name in names]
            except Exception as error:
                self.failed = error
                return None

        def _upload(self, name: str, values: np.ndarray) -> int:
            if name not in self._memory:  # all images have the size of the network's input
                self._memory[name] = context.allocate(values.nbytes)
            context.upload(self._memory[name], np.ascontiguousarray(values))
            return self._memory[name]

        def close(self) -> None:
            """Free the device memory."""
            for pointer in self._memory.values():
                context.free(pointer)
            self._memory = {}

        def read_calibration_cache(self) -> None:
            """None: the engine is cached instead."""

        def write_calibration_cache(self, _table: bytes) -> None:
            """Discarded: the engine is cached instead."""

    return Calibrator()
