"""Test frames for both ends of an RTP measurement: textured, noisy, moving; the pixels contain the frame number."""

from __future__ import annotations

import functools

import cv2
import numpy as np

LOOP = 60
_BITS = 16


@functools.cache
def _scene(width: int, height: int) -> list[np.ndarray]:
    random = np.random.default_rng(7)
    coarse = random.integers(0, 255, (height // 12, width // 12, 3), np.uint8)
    wide = cv2.resize(coarse, (width + 4 * LOOP, height + 2 * LOOP), interpolation=cv2.INTER_CUBIC)
    noise = [random.normal(0, 2, (height, width, 3)).astype(np.int16) for _ in range(4)]
    frames = []
    for number in range(LOOP):
        at = min(number, LOOP - number) * 2
        view = wide[at : at + height, 2 * at : 2 * at + width].astype(np.int16)
        frames.append(np.clip(view + noise[number % 4], 0, 255).astype(np.uint8))
    return frames


def frame(number: int, width: int, height: int) -> np.ndarray:
    """bgr8, (H, W, 3); squares along the upper edge show the number in binary."""
    bgr = _scene(width, height)[number % LOOP].copy()
    side = width // _BITS
    for bit in range(_BITS):
        bgr[:32, bit * side : (bit + 1) * side] = 235 if number >> bit & 1 else 20
    return bgr


def number_of(bgr: np.ndarray) -> int:
    side = bgr.shape[1] // _BITS
    middles = bgr[8:24, side // 2 :: side].mean(axis=(0, 2))[:_BITS]
    return sum(int(middle > 128) << bit for bit, middle in enumerate(middles))


def psnr(bgr: np.ndarray, number: int) -> float:
    """PSNR of a received frame against the sent one, in dB; uses every fourth pixel to keep the cost low."""
    below = bgr[32:]  # without the coded number
    sent = _scene(bgr.shape[1], bgr.shape[0])[number % LOOP][32:]
    error = cv2.absdiff(below[::4, ::4], sent[::4, ::4]).astype(np.float32)
    return float(10 * np.log10(255**2 / max(float(np.square(error).mean()), 1e-6)))
