"""From the scores of a network to classes and their probability, on whatever device they are."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from geodl.errors import GeodlError


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Class values (uint8) and their probability (float32) per pixel, and that of every class if asked for.

    Shapes ``(N, height, width)`` and ``(N, classes, height, width)``.
    """

    classes: np.ndarray
    confidence: np.ndarray
    probability: np.ndarray | None = None

    def part(
        self, number: int, place: tuple[slice, slice]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return classes, confidence and probability of rows and columns of one tile of the batch."""
        probability = None if self.probability is None else self.probability[(number, slice(None), *place)]
        return self.classes[number][place], self.confidence[number][place], probability


def classify(scores: Tensor, values: list[int], *, probabilities: bool = False) -> Scores:
    """Choose the class of the highest score at every pixel; the first one of equals.

    Parameters
    ----------
    scores : torch.Tensor
        Logits, float32, ``(N, classes, height, width)``.
    values : list of int
        Raster value of each class.
    probabilities : bool
        Also return the softmax.

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
    classes = torch.zeros_like(highest, dtype=torch.uint8)
    seen = torch.zeros_like(highest, dtype=torch.bool)
    for plane, value in zip(scores.unbind(1), values, strict=True):  # several times as fast as argmax
        here = plane == highest
        classes.add_(here.gt(seen), alpha=value)
        seen |= here
    ratio = (scores - highest.unsqueeze(1)).exp_()
    # Class by class: the order in which torch's own sum adds depends on where in memory a pixel lies.
    planes = ratio.unbind(1)
    total = planes[0].clone()
    for plane in planes[1:]:
        total += plane
    confidence = total.reciprocal_()
    probability = ratio.mul_(confidence.unsqueeze(1)).cpu().numpy() if probabilities else None
    return Scores(classes=classes.cpu().numpy(), confidence=confidence.cpu().numpy(), probability=probability)
