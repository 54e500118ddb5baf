"""Untrained networks whose outputs differ from prior to prior, for exports."""

from __future__ import annotations

import torch
from edgecam_training.models.base import SsdModel

CLASSES = ("disc", "square", "cross")


def with_statistics(network: SsdModel) -> SsdModel:
    """The network in eval mode, its norms with statistics of data: otherwise activations vanish."""
    for layer in network.train().modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        network(torch.randn(4, 3, network.size, network.size))
    return network.eval()


def with_spread_scores(network: SsdModel) -> SsdModel:
    """Like ``with_statistics``, with scores spread over the range, not all 0 or 1."""
    with_statistics(network)
    with torch.no_grad():
        for head in (*network.classification_headers, *network.regression_headers):
            head.weight.mul_(0.25)
    return network
