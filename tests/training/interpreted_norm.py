"""Run with TRITON_INTERPRET=1: the GPU's norm kernels on the CPU, against PyTorch's own layers."""

from __future__ import annotations

import torch
from edgecam_training.models.norm_relu import NormRelu


def compare(shape: tuple[int, ...]) -> None:
    """Result, gradients and running statistics of a norm with ReLU."""
    torch.manual_seed(0)
    mine, plain = NormRelu(shape[1]), torch.nn.BatchNorm2d(shape[1])
    with torch.no_grad():
        mine.weight.uniform_(0.5, 1.5)
        mine.bias.normal_()
    plain.load_state_dict(mine.state_dict())
    images = (torch.randn(shape) * 2 + 1).to(memory_format=torch.channels_last)
    inputs = [images.clone().requires_grad_() for _ in range(2)]
    found, expected = mine.forward_fused(inputs[0]), plain(inputs[1]).relu()
    torch.testing.assert_close(found, expected)
    gradient = torch.randn(shape)
    found.backward(gradient)
    expected.backward(gradient)
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(getattr(mine, name).grad, parameter.grad, atol=1e-5, rtol=1e-5)
    for name, value in plain.named_buffers():
        torch.testing.assert_close(getattr(mine, name), value)


if __name__ == "__main__":
    compare((3, 7, 9, 5))
    compare((2, 70, 6, 7))
    print("equal")
