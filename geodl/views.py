"""The eight symmetries of the square: what a network says of a scene turned and mirrored.

A map from above has no top: a network that gives other classes to a turned scene is not sure of them.
The mean over the views is often a little better than one of them; how they differ tells where not to trust
(test-time augmentation, Wang et al. 2019, doi:10.1016/j.neucom.2019.01.103).
"""

import torch
from torch import Tensor

VIEWS = 8
_FLOOR = torch.finfo(torch.float32).tiny  # of probabilities, whose logarithm must be finite


def turn(images: Tensor, view: int) -> Tensor:
    """Turn the last two dimensions by a multiple of 90 degrees (views 0 to 3), and mirror them (4 to 7)."""
    turned = torch.rot90(images, view % 4, dims=(-2, -1))
    return turned.flip(-1) if view >= 4 else turned


def turn_back(images: Tensor, view: int) -> Tensor:
    """Undo `turn`."""
    return torch.rot90(images.flip(-1) if view >= 4 else images, -(view % 4), dims=(-2, -1))


class Views:
    """Mean and spread of the class probabilities over views, added one by one (Welford's algorithm)."""

    def __init__(self) -> None:
        self._count = 0
        self._mean = self._squares = torch.zeros(())

    def add(self, probabilities: Tensor) -> None:
        """Add a view that is turned back; float32, ``(N, classes, height, width)``."""
        self._count += 1
        away = probabilities - self._mean
        self._mean = self._mean + away / self._count
        self._squares = self._squares + away * (probabilities - self._mean)

    @property
    def mean(self) -> Tensor:
        """Mean probabilities, ``(N, classes, height, width)``."""
        return self._mean.clamp_min(_FLOOR)

    def spread(self) -> Tensor:
        """Return the standard deviation of the likeliest class's probability, ``(N, height, width)``."""
        likeliest = self._mean.argmax(dim=1, keepdim=True)
        return (self._squares / self._count).gather(1, likeliest).squeeze(1).sqrt()
