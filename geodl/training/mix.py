"""Samples made of two: CutMix over a batch."""

import math

import torch


def cutmix(images: torch.Tensor, labels: torch.Tensor, chance: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Paste into some samples a rectangle of the one before, pixels and labels (arXiv:1905.04899).

    What is ignored and what has no data there comes along. The random numbers are torch's on the CPU.

    Parameters
    ----------
    images, labels : torch.Tensor
        Shapes ``(N, bands, y, x)`` and ``(N, y, x)``; left as they are.
    chance : float
        Of each sample to receive a rectangle; its share of the area is uniform between 0 and 1.
    """
    mixed, codes = images.clone(), labels.clone()
    height, width = labels.shape[-2:]
    for number in range(len(images)):
        draw, share, down, right = torch.rand(4).tolist()
        if draw >= chance:
            continue
        tall, wide = round(height * math.sqrt(share)), round(width * math.sqrt(share))
        top, left = round(down * (height - tall)), round(right * (width - wide))
        place = (..., slice(top, top + tall), slice(left, left + wide))
        mixed[number][place] = images[number - 1][place]
        codes[number][place] = labels[number - 1][place]
    return mixed, codes
