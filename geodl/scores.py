"""From the scores of a network to what is known of each pixel, on whatever device they are.

The bits of a pixel do not depend on the pixels beside it.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from geodl.errors import GeodlError

Scores = dict[str, np.ndarray]
"""Layers by name (`geodl.task.LAYERS`): ``class`` uint8, the others float32, ``(N, height, width)``;
``probability`` is ``(N, classes, height, width)``."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Meaning:
    """What the output of a model's network means.

    Parameters
    ----------
    values : list of int
        Raster value of each class; so many planes of the output, the first ones, are their scores.
    temperature : float
        The scores are divided by it before they become probabilities.
    quantiles : torch.Tensor or None
        For a network whose further planes are squared distances to the training data
        (`geodl.models.distances`): those that 0, 1, ... 100 % of the training pixels do not exceed.
    """

    values: list[int]
    temperature: float = 1.0
    quantiles: Tensor | None = None

    def probabilities(self, output: Tensor) -> Tensor:
        """Return the probabilities of the classes, ``(N, classes, height, width)``."""
        return (output[:, : len(self.values)] / self.temperature).softmax(dim=1)

    def novelty(self, output: Tensor) -> Tensor:
        """Return the share of the training pixels that are nearer to their data, ``(N, height, width)``."""
        assert self.quantiles is not None
        # What cannot be told from infinitely far has not been seen.
        nearest = output[:, len(self.values) :].amin(dim=1).nan_to_num(nan=math.inf).contiguous()
        last = len(self.quantiles) - 1
        above = torch.searchsorted(self.quantiles, nearest, right=True).clamp_(1, last)
        low, high = self.quantiles[above - 1], self.quantiles[above]
        within = (nearest - low).div_((high - low).clamp_min_(torch.finfo(torch.float32).tiny))
        return within.clamp_(0, 1).add_(above - 1).div_(last)

    def layers(self, output: Tensor, layers: Collection[str]) -> Scores:
        """Return layers of `geodl.task.LAYERS`, all but ``spread``; raises as `classify`."""
        told = [name for name in layers if name != "novelty"]
        found = classify(output[:, : len(self.values)], self.values, told, temperature=self.temperature)
        if "novelty" in layers:
            found["novelty"] = self.novelty(output).cpu().numpy()
        return found


def classify(
    scores: Tensor, values: list[int], layers: Collection[str], *, temperature: float = 1.0
) -> Scores:
    """Choose the class of the highest score at every pixel, the first one of equals, and say how sure it is.

    Parameters
    ----------
    scores : torch.Tensor
        Logits, float32, ``(N, classes, height, width)``.
    values : list of int
        Raster value of each class.
    layers : collection of str
        What to return, of `geodl.task.LAYERS`.
    temperature : float
        Scores are divided by it for everything but the class, which it does not change.

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
        if temperature != 1:
            shifted.div_(temperature)
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
