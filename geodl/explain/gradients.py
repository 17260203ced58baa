"""Integrated gradients: how much each input pixel and band adds to the score of a class.

Sundararajan, Taly, Yan 2017, https://arxiv.org/abs/1703.01365, by captum. The input goes in a straight
line from the baseline, where every band has its mean (0 as the network sees it), to the scene; gradients
on the way, times the difference, add up to the difference of the scores. That sum is the check: steps are
doubled until it holds.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from geodl.errors import OptionError
from geodl.explain.subject import Score

STEPS = 32
MOST_STEPS = 512
TOLERANCE = 0.02
"""Share of the difference of scores by which the sum may miss it."""
SMALLEST = 0.1
"""Difference of scores below which the miss is compared with this, for shares of nothing mean nothing."""


@dataclass(frozen=True, kw_only=True)
class Completeness:
    """Whether attributions add up.

    Parameters
    ----------
    baseline_score, score : float
        Of the baseline and of the scene.
    total : float
        Sum of all attributions, those outside the view included.
    steps : int
        Gradients taken on the way.
    """

    baseline_score: float
    score: float
    total: float
    steps: int

    @property
    def error(self) -> float:
        """Miss of the sum as a share of the difference of scores."""
        difference = self.score - self.baseline_score
        return abs(self.total - difference) / max(abs(difference), SMALLEST)

    @property
    def complete(self) -> bool:
        """Whether the sum equals the difference of the scores, but for `TOLERANCE`."""
        return self.error <= TOLERANCE


def integrated_gradients(
    score: Score, inputs: Tensor, *, steps: int = STEPS
) -> tuple[np.ndarray, Completeness]:
    """Attribute a score to the inputs.

    Parameters
    ----------
    score : Score
        What is explained.
    inputs : torch.Tensor
        (1, bands, height, width), as the network sees it.
    steps : int
        Gradients to begin with; doubled up to `MOST_STEPS` until the attributions add up.

    Returns
    -------
    attributions : numpy.ndarray
        float32, (bands, height, width), in units of the score.
    completeness : Completeness

    Raises
    ------
    OptionError
        captum is not installed.
    """
    method = captum_attr().IntegratedGradients(score)
    baseline = torch.zeros_like(inputs)
    with torch.no_grad():
        before, after = (score(x).item() for x in (baseline, inputs))
    while True:
        # Step by step: memory does not grow with their number.
        found = method.attribute(inputs, baseline, n_steps=steps, internal_batch_size=1)
        attributions = found.detach()[0].double().cpu().numpy()
        result = Completeness(
            baseline_score=before, score=after, total=float(attributions.sum()), steps=steps
        )
        if result.complete or steps >= MOST_STEPS:
            return attributions.astype(np.float32), result
        steps = min(2 * steps, MOST_STEPS)


def captum_attr():
    """Import `captum.attr`.

    Raises
    ------
    OptionError
        It is not installed.
    """
    try:
        import captum.attr
    except ImportError as error:
        raise OptionError(
            "explaining", "captum is not installed", "install it with: pip install 'geodl[explain]'"
        ) from error
    return captum.attr
