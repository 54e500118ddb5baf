"""Messages and arrays for the tests of cv_bridge."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from cv_bridge import CvBridge
from sensor_msgs.msg import Image

IS_REPLACEMENT = importlib.util.find_spec("cv_bridge.color") is not None

only_replacement = pytest.mark.skipif(not IS_REPLACEMENT, reason="only the replacement in underlay/ guarantees this")

BRIDGE = CvBridge()


def message(encoding: str, pixels: np.ndarray, pad: int = 0, big_endian: bool = False, height: int = 0) -> Image:
    """A message as another program may write it: padded rows, either byte order."""
    rows = pixels.astype(pixels.dtype.newbyteorder(">" if big_endian else "<")).reshape(len(pixels), -1).view(np.uint8)
    padded = np.pad(rows, ((0, 0), (0, pad)), constant_values=0xA5)
    result = Image(encoding=encoding, height=height or len(pixels), width=pixels.shape[1], step=padded.shape[1])
    result.is_bigendian = big_endian
    result.data.frombytes(padded.tobytes())
    return result


def noise(shape: tuple[int, ...], dtype: str = "uint8") -> np.ndarray:
    random = np.random.default_rng(7)
    if np.dtype(dtype).kind == "f":
        return random.standard_normal(shape).astype(dtype)
    limits = np.iinfo(dtype)
    return random.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
