"""A loss that sees whether thin things hang together: the Dice coefficient of centrelines.

Shit et al. 2021, "clDice - a novel topology-preserving loss function for tubular structure segmentation",
https://arxiv.org/abs/2003.07311. A gap of two pixels in a road costs a region loss two pixels; here it
costs a part of the centreline, however broad the road.
"""

import torch
import torch.nn.functional as F

from geodl.assess.labels import IGNORE

_STEPS = 10
"""Erosions of a skeleton: things up to about twice as many pixels wide are thinned to a line."""


def centreline_dice(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, steps: int = _STEPS
) -> torch.Tensor:
    """Return one minus the soft Dice coefficient of centrelines, mean over all classes but the first.

    The first class of a recipe is the background, which has no centreline. Ignored pixels belong to no
    class; a class that has no pixel in the labels of the batch costs nothing.

    Parameters
    ----------
    logits : torch.Tensor
        Shape ``(N, classes, y, x)``.
    labels : torch.Tensor
        int64, shape ``(N, y, x)``; 255 is ignored.
    weights : torch.Tensor
        Weights of the classes in the mean, shape ``(classes,)``.
    steps : int
        Erosions until a thing is thinned to its centreline.
    """
    known = (labels != IGNORE)[:, None]
    shares = torch.where(known, torch.softmax(logits.float(), dim=1), 0.0)[:, 1:]
    truth = F.one_hot(torch.where(known[:, 0], labels, 0), logits.shape[1]).movedim(-1, 1)
    truth = torch.where(known, truth.to(shares.dtype), 0.0)[:, 1:]
    present = truth.sum(dim=(0, 2, 3)) > 0
    weights = torch.where(present, weights[1:].to(shares.dtype), 0.0)
    mapped, true = skeleton(shares, steps), skeleton(truth, steps)
    over = (0, 2, 3)
    # Of what is drawn, how much is right; of what is there, how much is drawn.
    precision = (mapped * truth).sum(over) / mapped.sum(over).clamp(min=1e-6)
    sensitivity = (true * shares).sum(over) / true.sum(over).clamp(min=1e-6)
    dice = 2 * precision * sensitivity / (precision + sensitivity).clamp(min=1e-6)
    return ((1 - dice) * weights).sum() / weights.sum().clamp(min=1e-6)


def skeleton(shares: torch.Tensor, steps: int) -> torch.Tensor:
    """Thin shares of a class to a soft skeleton, ``(N, classes, y, x)`` (algorithm 1 of the paper).

    What an opening would remove after each erosion is kept; nothing lies beyond the border but what
    lies at it.
    """
    remains, eroded = shares, _erode(shares)
    kept = F.relu(remains - _dilate(eroded))
    for _ in range(steps):
        remains, eroded = eroded, _erode(eroded)
        more = F.relu(remains - _dilate(eroded))
        kept = kept + F.relu(more - kept * more)
    return kept


def _erode(shares: torch.Tensor) -> torch.Tensor:
    """Smallest share among a pixel and its four neighbours."""
    return -torch.maximum(_largest(-shares, dim=-1), _largest(-shares, dim=-2))


def _dilate(shares: torch.Tensor) -> torch.Tensor:
    """Largest share among a pixel and its eight neighbours."""
    return _largest(_largest(shares, dim=-1), dim=-2)


def _largest(shares: torch.Tensor, dim: int) -> torch.Tensor:
    """Largest of three neighbours along a dimension; beyond the border lies what lies at it.

    By shifted views: on a processor several times faster than pooling, which remembers where it found what.
    """
    size = shares.shape[dim]
    first, last = shares.narrow(dim, 0, 1), shares.narrow(dim, size - 1, 1)
    wide = torch.cat([first, shares, last], dim=dim)
    pairs = torch.maximum(wide.narrow(dim, 0, size + 1), wide.narrow(dim, 1, size + 1))
    return torch.maximum(pairs.narrow(dim, 0, size), pairs.narrow(dim, 1, size))
