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

PyTorch reads and writes every activation thirteen times for a norm and a ReLU and their gradients; here it is eight
times. Sums are in float32 for any type of activation. Every product is written to the same memory layout as its
input; nothing waits for the device, so the kernels can be recorded in a CUDA graph.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc"
from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

_ROWS, _COLUMNS = 64, 64  # of a tile
_SPLITS = 256  # programs that share the rows of a sum


@triton.jit
def _tile(start, rows, channels, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    row = start + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    mask = (row[:, None] < rows) & (column[None, :] < channels)
    return row[:, None].to(tl.int64) * channels + column[None, :], mask, column


@triton.jit
def _sums(x, out, rows, channels, span, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Sum and sum of squares of each channel over this program's rows: (programs, 2, channels)."""
    first = tl.zeros([COLUMNS], tl.float32)
    second = tl.zeros([COLUMNS], tl.float32)
    begin = tl.program_id(0) * span
    for start in range(begin, tl.minimum(begin + span, rows), ROWS):
        place, mask, column = _tile(start, rows, channels, ROWS, COLUMNS)
        value = tl.load(x + place, mask, 0.0).to(tl.float32)
        first += tl.sum(value, 0)
        second += tl.sum(value * value, 0)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    target = out + tl.program_id(0) * 2 * channels + column
    tl.store(target, first, column < channels)
    tl.store(target + channels, second, column < channels)


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
    first = tl.zeros([COLUMNS], tl.float32)
    second = tl.zeros([COLUMNS], tl.float32)
    begin = tl.program_id(0) * span
    for start in range(begin, tl.minimum(begin + span, rows), ROWS):
        place, mask, column = _tile(start, rows, channels, ROWS, COLUMNS)
        gradient, centred = _gradient(x, dy, place, mask, column, channels, mean, scale, shift)
        gradient = tl.where(mask, gradient, 0.0)
        first += tl.sum(gradient, 0)
        second += tl.sum(gradient * centred, 0)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    target = out + tl.program_id(0) * 2 * channels + column
    tl.store(target, first, column < channels)
    tl.store(target + channels, second, column < channels)


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


def _grid(rows: int, channels: int) -> tuple[int, int]:
    return triton.cdiv(rows, _ROWS), triton.cdiv(channels, _COLUMNS)


def _split(rows: int) -> tuple[int, int]:
    """Programs that share the rows, and rows of each, whole tiles."""
    span = triton.cdiv(triton.cdiv(rows, _SPLITS), _ROWS) * _ROWS
    return triton.cdiv(rows, span), span


class NormRelu(torch.autograd.Function):
    """``apply(x, weight, bias, epsilon)``: (B, C, H, W) channels last to y, mean (C,) and biased variance (C,)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
        x = x.contiguous(memory_format=torch.channels_last)
        channels, rows = x.shape[1], x.numel() // x.shape[1]
        programs, span = _split(rows)
        parts = torch.empty(programs, 2, channels, device=x.device)
        columns = triton.cdiv(channels, _COLUMNS)
        _sums[(programs, columns)](x, parts, rows, channels, span, _ROWS, _COLUMNS)
        mean, square = (parts.sum(dim=0) / rows).unbind()
        variance = (square - mean * mean).clamp_(min=0.0)
        inverse = torch.rsqrt(variance + epsilon)
        scale = weight * inverse
        y = torch.empty_like(x)
        _apply[_grid(rows, channels)](x, y, mean, scale, bias, rows, channels, _ROWS, _COLUMNS)
        ctx.save_for_backward(x, mean, inverse, scale, bias)
        ctx.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, mean, inverse, scale, bias = ctx.saved_tensors
        dy = dy.contiguous(memory_format=torch.channels_last)
        channels, rows = x.shape[1], x.numel() // x.shape[1]
        programs, span = _split(rows)
        parts = torch.empty(programs, 2, channels, device=x.device)
        columns = triton.cdiv(channels, _COLUMNS)
        _gradient_sums[(programs, columns)](
            x, dy, mean, scale, bias, parts, rows, channels, span, _ROWS, _COLUMNS
        )  # fmt: skip
        total, product = parts.sum(dim=0).unbind()
        offset, slope = scale * total / rows, scale * inverse * inverse * product / rows
        dx = torch.empty_like(x)
        _gradient_apply[_grid(rows, channels)](
            x, dy, dx, mean, scale, bias, offset, slope, rows, channels, _ROWS, _COLUMNS
        )  # fmt: skip
        return dx, product * inverse, total, None
