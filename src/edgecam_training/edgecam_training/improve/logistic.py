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

"""Logistic regression of several labels at once, in NumPy: independent sigmoids on shared features."""

from __future__ import annotations

import numpy as np

RATE = 0.01


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))))


def fit(
    x: np.ndarray, y: np.ndarray, start: tuple[np.ndarray, np.ndarray], penalty: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Adam on the mean logistic loss over the rows that have a target (D. Kingma, J. Ba: Adam, 2015).

    Args:
        x: (N, F) float32 features.
        y: (N, K) targets in {0, 1}, NaN where a row has no target.
        start: (K, F) initial weights and (K,) biases.
        penalty: (K,) L2 penalty on the distance from the start.

    Returns:
        (K, F) weights and (K,) biases, float32.
    """
    valid = ~np.isnan(y)
    # All float32: with one float64 operand NumPy converts the features at every step, which dominates the run time.
    share = (valid / np.maximum(valid.sum(axis=0), 1)).astype(np.float32)
    y = np.nan_to_num(y).astype(np.float32)
    origins = [one.astype(np.float32) for one in start]
    values = [one.copy() for one in origins]
    moments = [(np.zeros_like(one), np.zeros_like(one)) for one in origins]
    penalties = (penalty[:, None].astype(np.float32), penalty.astype(np.float32))
    for step in range(1, steps + 1):
        slope = (sigmoid(x @ values[0].T + values[1]) - y) * share
        rate = np.float32(RATE * np.sqrt(1 - 0.999**step) / (1 - 0.9**step))
        for gradient, value, origin, strength, (first, second) in zip(
            (slope.T @ x, slope.sum(axis=0)), values, origins, penalties, moments, strict=True
        ):
            gradient = gradient + strength * (value - origin)
            first += np.float32(0.1) * (gradient - first)
            second += np.float32(0.001) * (gradient**2 - second)
            value -= rate * first / (np.sqrt(second) + np.float32(1e-8))
    return values[0], values[1]
