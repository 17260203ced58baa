"""Hide squares and have them restored.

After masked image modelling (He et al. 2022, arXiv:2111.06377; Xie et al. 2022, arXiv:2111.09886),
with the network's own decoder instead of one that is thrown away.
"""

import math

import torch
import torch.nn.functional as F

from geodl.assess.labels import IGNORE
from geodl.training.learner import Learner


def hide(count: int, height: int, width: int, share: float, square: int) -> torch.Tensor:
    """Choose squares of a grid at random, as many in each sample; the grid begins anywhere.

    The random numbers are torch's on the CPU.

    Parameters
    ----------
    count, height, width : int
        Samples and their size in pixels.
    share : float
        Of the squares that are hidden.
    square : int
        Side of a square in pixels.

    Returns
    -------
    torch.Tensor
        True where hidden; bool, shape ``(count, 1, height, width)``.
    """
    rows, columns = math.ceil(height / square) + 1, math.ceil(width / square) + 1
    order = torch.rand(count, rows * columns).argsort(dim=1).argsort(dim=1)
    cells = (order < round(share * rows * columns)).reshape(count, 1, rows, columns)
    whole = cells.repeat_interleave(square, dim=2).repeat_interleave(square, dim=3)
    top, left = torch.randint(square, (2,)).tolist()
    return whole[:, :, top : top + height, left : left + width]


def restoration_loss(restored: torch.Tensor, image: torch.Tensor, judged: torch.Tensor) -> torch.Tensor:
    """Smooth absolute difference over the judged pixels, in standard deviations of the bands.

    Parameters
    ----------
    restored, image : torch.Tensor
        Shape ``(N, bands, y, x)``.
    judged : torch.Tensor
        bool, shape ``(N, 1, y, x)``.
    """
    each = F.smooth_l1_loss(restored.float(), image.float(), reduction="none") * judged
    return each.sum() / (judged.sum() * image.shape[1]).clamp(min=1)


class MaskedLearner(Learner):
    """A learner whose network restores what is hidden; ``labels`` are 0, or 255 without data."""

    def loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Hide, restore and compare."""
        settings = self._recipe.pretraining
        count, height, width = labels.shape
        hidden = hide(count, height, width, settings.hidden, settings.square).to(images.device)
        restored = self.network(torch.where(hidden, 0.0, images))
        return restoration_loss(restored, images, hidden & (labels != IGNORE)[:, None])
