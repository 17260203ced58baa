"""Changes made of two parts of one scene: pieces of another part are put into the later date."""

import math

import torch

from geodl.assess.labels import IGNORE
from geodl.training.augment import blur

_PIECES = 6
_SMALLEST, _LARGEST = 3.0, 30.0  # pixels: from a house to a building site, at 10 m
_EDGE = 0.6
"""Pixels: the standard deviation of the softness of an edge, about that of a sensor. A hard one would tell
that it was cut."""
_DIFFERENT = 0.8
"""Distance of what is pasted from what was there, in standard deviations, from which it has changed."""


def paste_changes(
    image: torch.Tensor,
    labels: torch.Tensor,
    other: torch.Tensor,
    usable: torch.Tensor,
    changed: int,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put pieces of another part of the scene into the later of two dates, as if it had changed there.

    The pieces come from the later date, too, so that nothing but what they show tells them: light and haze
    are the same. It is labelled as changed where what is there now looks unlike what would be there; where
    a wood was put into a wood nothing is said. After Seo et al. 2023, Self-Pair (arXiv:2212.10236).

    Parameters
    ----------
    image, other : torch.Tensor
        Two parts of a pair of dates, normalised, ``(2 * bands, y, x)``, of the same size; left as they are.
    labels : torch.Tensor
        Positions of the classes of `image`, ``(y, x)``; what is ignored or changed remains so.
    usable : torch.Tensor
        False where either part has no data at either date; bool, ``(y, x)``.
    changed : int
        Position of the class "changed".
    generator : torch.Generator
        Source of all randomness.
    """
    before, after = image.chunk(2)
    share = blur(pieces(labels.shape[0], labels.shape[1], generator)[None], _EDGE)[0] * usable
    pasted = torch.lerp(after, other.chunk(2)[1], share)
    distance = (pasted - after).square().mean(dim=0).sqrt()
    touched = (share > 0.1) & (labels != IGNORE) & (labels != changed)
    is_new = (share > 0.5) & (distance > _DIFFERENT)
    codes = torch.where(touched, torch.where(is_new, changed, IGNORE), labels)
    return torch.cat([before, pasted]), codes


def pieces(height: int, width: int, generator: torch.Generator) -> torch.Tensor:
    """Draw rectangles of all sizes in any direction: 1 inside, 0 outside, float32 ``(height, width)``."""
    rows = torch.arange(height, dtype=torch.float32)[:, None]
    columns = torch.arange(width, dtype=torch.float32)[None]
    drawn = torch.zeros(height, width)
    number = 1 + int(torch.randint(_PIECES, (), generator=generator))
    for down, right, turn, long, wide in torch.rand((number, 5), generator=generator).tolist():
        sine, cosine = math.sin(math.pi * turn), math.cos(math.pi * turn)
        y, x = rows - down * height, columns - right * width
        sides = [_SMALLEST * (_LARGEST / _SMALLEST) ** each for each in (long, wide)]
        along, across = (x * cosine + y * sine).abs(), (y * cosine - x * sine).abs()
        drawn[(along <= sides[0] / 2) & (across <= sides[1] / 2)] = 1
    return drawn
