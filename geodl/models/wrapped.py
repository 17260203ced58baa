"""Networks of others whose output is put into the form that geodl's networks have."""

from typing import cast

import torch
from torch import Tensor, nn


class FirstOutput(nn.Module):
    """A network of torchvision, which names its outputs: the map is ``"out"``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (N, classes, H, W) for scaled pixels `x` (N, bands, H, W)."""
        return cast("Tensor", self.network(x)["out"])


class TwoScores(nn.Module):
    """A network with one score z, whose sigmoid is the probability of the second of two classes.

    The softmax of (0, z) is (1 - sigmoid(z), sigmoid(z)).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (N, 2, H, W) for scaled pixels `x` (N, bands, H, W)."""
        second = self.network(x)  # (N, 1, H, W)
        return torch.cat([torch.zeros_like(second), second], dim=1)
