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

"""Arithmetic in GF(2**8) (polynomial 0x11D) on whole packets, and the Cauchy matrix of an erasure code."""

from __future__ import annotations

import numpy as np

POLYNOMIAL = 0x11D


def _tables() -> tuple[np.ndarray, np.ndarray]:
    power = np.zeros(512, np.uint8)
    logarithm = np.zeros(256, np.int32)
    value = 1
    for exponent in range(255):
        power[exponent] = power[exponent + 255] = value
        logarithm[value] = exponent
        value = value << 1 ^ (POLYNOMIAL if value & 0x80 else 0)
    product = np.zeros((256, 256), np.uint8)
    product[1:, 1:] = power[logarithm[1:, None] + logarithm[None, 1:]]
    inverse = np.zeros(256, np.uint8)
    inverse[1:] = power[255 - logarithm[1:]]
    return product, inverse


PRODUCT, INVERSE = _tables()


def cauchy(rows: list[int], columns: list[int]) -> np.ndarray:
    """The (R, C) uint8 matrix 1 / (x + y) with x = 255 - row, y = column: every square submatrix is invertible.

    Rows (parity) and columns (data) together must be at most 256.
    """
    x = 255 - np.asarray(rows, np.uint8)
    y = np.asarray(columns, np.uint8)
    return INVERSE[x[:, None] ^ y[None, :]]


def combine(matrix: np.ndarray, data: np.ndarray) -> np.ndarray:
    """``matrix`` (R, K) times ``data`` (K, L), both uint8: (R, L)."""
    out = np.empty((len(matrix), data.shape[1]), np.uint8)
    for index, coefficients in enumerate(matrix):
        out[index] = np.bitwise_xor.reduce(PRODUCT[coefficients[:, None], data], axis=0)
    return out


def invert(matrix: np.ndarray) -> np.ndarray:
    """The inverse of a square uint8 matrix by Gauss-Jordan elimination.

    Raises:
        ValueError: the matrix has no inverse.
    """
    size = len(matrix)
    work = np.concatenate([matrix, np.eye(size, dtype=np.uint8)], axis=1)
    for column in range(size):
        candidates = np.flatnonzero(work[column:, column])
        if not len(candidates):
            raise ValueError("the matrix has no inverse")
        pivot = column + int(candidates[0])
        work[[column, pivot]] = work[[pivot, column]]
        work[column] = PRODUCT[INVERSE[work[column, column]], work[column]]
        for row in range(size):
            if row != column and work[row, column]:
                work[row] ^= PRODUCT[work[row, column], work[column]]
    return work[:, size:]
