"""From the scores of a network to what is known of each pixel, on whatever device they are."""

import math
from collections.abc import Collection

import numpy as np
import torch
from torch import Tensor

from geodl.errors import GeodlError

Scores = dict[str, np.ndarray]
"""Layers by name (`geodl.task.LAYERS`): ``class`` uint8, the others float32, ``(N, height, width)``;
``probability`` is ``(N, classes, height, width)``."""


def classify(scores: Tensor, values: list[int], layers: Collection[str]) -> Scores:
    """Choose the class of the highest score at every pixel, the first one of equals, and say how sure it is.

    The bits of a pixel do not depend on the pixels beside it.

    Parameters
    ----------
    scores : torch.Tensor
        Logits, float32, ``(N, classes, height, width)``.
    values : list of int
        Raster value of each class.
    layers : collection of str
        What to return, of `geodl.task.LAYERS`.

    Raises
    ------
    GeodlError
        If a score is NaN or infinite.
    """
    scores = scores.contiguous()  # plane by plane: several times as fast as channels last
    highest = scores.amax(dim=1)
    if not torch.stack(highest.aminmax()).isfinite().all():
        raise GeodlError(
            "network", "its class scores are not finite", "check the weights, or use --precision fp32"
        )
    found = {"class": _classes(scores, highest, values)}
    if len(layers) > 1:
        shifted = scores - highest.unsqueeze(1)
        ratio = shifted.exp()
        total = _sum(ratio)
        found["confidence"] = total.reciprocal()
        if "entropy" in layers:
            # -sum(p log p) where p = ratio / total and log p = shifted - log(total)
            nats = total.log() - _sum(shifted * ratio) * found["confidence"]
            found["entropy"] = nats.mul_(1 / math.log(len(values))).clamp_(0, 1)
        if "probability" in layers:
            found["probability"] = ratio.mul_(found["confidence"].unsqueeze(1))
    return {layer: found[layer].cpu().numpy() for layer in layers}


def _classes(scores: Tensor, highest: Tensor, values: list[int]) -> Tensor:
    classes = torch.zeros_like(highest, dtype=torch.uint8)
    seen = torch.zeros_like(highest, dtype=torch.bool)
    for plane, value in zip(scores.unbind(1), values, strict=True):  # several times as fast as argmax
        here = plane == highest
        classes.add_(here.gt(seen), alpha=value)
        seen |= here
    return classes


def _sum(planes: Tensor) -> Tensor:
    """Add up the classes one by one: the order of torch's own sum depends on where in memory a pixel lies."""
    total = planes[:, 0].clone()
    for plane in planes.unbind(1)[1:]:
        total += plane
    return total
