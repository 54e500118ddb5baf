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

"""Batch normalisation and ReLU in one pass each way, as Triton kernels for channels-last tensors on a GPU.

For a norm, a ReLU and their gradients, PyTorch reads and writes every activation thirteen times, these kernels eight
times. Sums are in float32 for all types of activations. Outputs have the memory layout of their input. Nothing waits
for the device, so the kernels can be captured in a CUDA graph.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc"
from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

_TILE, _COLUMNS = 2048, 64  # elements of a tile, and its maximum number of channels
_PROGRAMS = 2048  # programs that share a sum: several for each multiprocessor of a large GPU


@triton.jit
def _tile(start, rows, channels, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    row = start + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    mask = (row[:, None] < rows) & (column[None, :] < channels)
    return row[:, None].to(tl.int64) * channels + column[None, :], mask, column


@triton.jit
def _sums(x, out, rows, channels, span, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Sum and sum of squares of each channel over this program's rows: (programs, 2, channels)."""
    first = tl.zeros([ROWS, COLUMNS], tl.float32)
    second = tl.zeros([ROWS, COLUMNS], tl.float32)
    begin = tl.program_id(0) * span
    for start in range(begin, tl.minimum(begin + span, rows), ROWS):
        place, mask, column = _tile(start, rows, channels, ROWS, COLUMNS)
        value = tl.load(x + place, mask, 0.0).to(tl.float32)
        first += value
        second += value * value
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    target = out + tl.program_id(0) * 2 * channels + column
    tl.store(target, tl.sum(first, 0), column < channels)
    tl.store(target + channels, tl.sum(second, 0), column < channels)


@triton.jit
def _apply(x, y, mean, scale, shift, rows, channels, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    place, mask, column = _tile(tl.program_id(0) * ROWS, rows, channels, ROWS, COLUMNS)
    known = column < channels
    value = tl.load(x + place, mask, 0.0).to(tl.float32) - tl.load(mean + column, known, 0.0)[None, :]
    value = value * tl.load(scale + column, known, 0.0)[None, :] + tl.load(shift + column, known, 0.0)[None, :]
    tl.store(y + place, tl.maximum(value, 0.0).to(y.dtype.element_ty), mask)


@triton.jit
def _gradient(x, dy, place, mask, column, channels, mean, scale, shift):
    """The gradient behind the ReLU, and x without its mean."""
    known = column < channels
    centred = tl.load(x + place, mask, 0.0).to(tl.float32) - tl.load(mean + column, known, 0.0)[None, :]
    value = centred * tl.load(scale + column, known, 0.0)[None, :] + tl.load(shift + column, known, 0.0)[None, :]
    gradient = tl.load(dy + place, mask, 0.0).to(tl.float32)
    return tl.where(value > 0.0, gradient, 0.0), centred


@triton.jit
def _gradient_sums(x, dy, mean, scale, shift, out, rows, channels, span, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    first = tl.zeros([ROWS, COLUMNS], tl.float32)
    second = tl.zeros([ROWS, COLUMNS], tl.float32)
    begin = tl.program_id(0) * span
    for start in range(begin, tl.minimum(begin + span, rows), ROWS):
        place, mask, column = _tile(start, rows, channels, ROWS, COLUMNS)
        gradient, centred = _gradient(x, dy, place, mask, column, channels, mean, scale, shift)
        gradient = tl.where(mask, gradient, 0.0)
        first += gradient
        second += gradient * centred
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    target = out + tl.program_id(0) * 2 * channels + column
    tl.store(target, tl.sum(first, 0), column < channels)
    tl.store(target + channels, tl.sum(second, 0), column < channels)


@triton.jit
def _gradient_apply(
    x, dy, dx, mean, scale, shift, offset, slope, rows, channels, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """dx = scale * gradient - offset - slope * centred."""
    place, mask, column = _tile(tl.program_id(0) * ROWS, rows, channels, ROWS, COLUMNS)
    known = column < channels
    gradient, centred = _gradient(x, dy, place, mask, column, channels, mean, scale, shift)
    result = gradient * tl.load(scale + column, known, 0.0)[None, :] - tl.load(offset + column, known, 0.0)[None, :]
    result -= centred * tl.load(slope + column, known, 0.0)[None, :]
    tl.store(dx + place, result.to(dx.dtype.element_ty), mask)


def _tiles(rows: int, channels: int) -> tuple[int, int, int, int]:
    """Rows and columns of a tile, and the number of tiles in each direction."""
    columns = min(_COLUMNS, triton.next_power_of_2(channels))
    tall = _TILE // columns
    return tall, columns, triton.cdiv(rows, tall), triton.cdiv(channels, columns)


def _sum(kernel: Any, operands: tuple[Tensor, ...], rows: int, channels: int) -> tuple[Tensor, Tensor]:
    """Two sums of each channel, (C,) each; a second kernel adds the partial sums of the programs."""
    tall, columns, down, across = _tiles(rows, channels)
    span = triton.cdiv(down, max(1, _PROGRAMS // across)) * tall
    programs = triton.cdiv(rows, span)
    parts = torch.empty(programs, 2, channels, device=operands[0].device)
    kernel[(programs, across)](*operands, parts, rows, channels, span, tall, columns)
    first, second = parts.sum(dim=0).unbind()
    return first, second


def normalise(x: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """(B, C, H, W) channels last to y, mean, biased variance, 1 / deviation and the scale of each channel."""
    channels, rows = x.shape[1], x.numel() // x.shape[1]
    total, square = _sum(_sums, (x,), rows, channels)
    mean = total / rows
    variance = (square / rows - mean * mean).clamp_(min=0.0)
    inverse = torch.rsqrt(variance + epsilon)
    scale = weight * inverse
    y = torch.empty_like(x)
    tall, columns, down, across = _tiles(rows, channels)
    _apply[(down, across)](x, y, mean, scale, bias, rows, channels, tall, columns)
    return y, mean, variance, inverse, scale


def gradients(
    x: Tensor, dy: Tensor, mean: Tensor, inverse: Tensor, scale: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, weight and bias, from that of y and what :func:`normalise` returned."""
    channels, rows = x.shape[1], x.numel() // x.shape[1]
    total, product = _sum(_gradient_sums, (x, dy, mean, scale, bias), rows, channels)
    offset, slope = scale * total / rows, scale * inverse * inverse * product / rows
    dx = torch.empty_like(x)
    tall, columns, down, across = _tiles(rows, channels)
    _gradient_apply[(down, across)](x, dy, dx, mean, scale, bias, offset, slope, rows, channels, tall, columns)
    return dx, product * inverse, total


class NormReluFunction(torch.autograd.Function):
    """``apply(x, weight, bias, epsilon)``: (B, C, H, W) to y, mean (C,) and biased variance (C,)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
        x = x.contiguous(memory_format=torch.channels_last)
        y, mean, variance, inverse, scale = normalise(x, weight, bias, epsilon)
        ctx.save_for_backward(x, mean, inverse, scale, bias)
        ctx.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, mean, inverse, scale, bias = ctx.saved_tensors
        return *gradients(x, dy.contiguous(memory_format=torch.channels_last), mean, inverse, scale, bias), None
